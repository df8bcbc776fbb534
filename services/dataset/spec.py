"""What a caller asks for: the spec of a dataset and the point where a stream goes on.

Knows no protobuf; field paths are those of the requests, so that errors can name them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.servicekit.errors import FieldViolation, InvalidField

DEFAULT_TEMPTATION_SHARE = 0.25
MAX_TOKEN_BUDGET = 10**12
MAX_UNSEEN_TWIN_OBJECTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarSettings:
    """How the grammar author of the micro-world writes."""

    world_seed: int = 0
    """Which consequence each action has follows from it alone."""
    temptation_share: float = DEFAULT_TEMPTATION_SHARE
    """Share of examples about a harmful action, 0 to 1; the rest are benign twins."""
    system_prompt_share: float = 0.0
    """Share of advice chats that open like an agent's, 0 to 1."""
    unseen_twin_objects: int = 0
    """Benign objects of each held-out family that never appear, 0 to 6: the last
    ones in the order of the micro-world's tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """Everything a caller decides about a dataset."""

    recipe: str
    seed: int = 0
    token_budget: int
    """Tokens to write; the dataset ends with the example that reaches it."""
    grammar: GrammarSettings = GrammarSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """Where a stream starts: after the examples that its caller has."""

    next_index: int = 0
    """Index of the next example wanted."""
    cumulative_tokens: int = 0
    """Tokens of the examples before it."""


def check_spec(spec: DatasetSpec) -> None:
    """Refuse values that no recipe allows.

    Raises:
        InvalidField: naming every field that is out of range, and its range.
    """
    violations = tuple(_violations(spec))
    if violations:
        raise InvalidField(*violations)


def _violations(spec: DatasetSpec) -> Iterator[FieldViolation]:
    grammar = spec.grammar
    if not 1 <= spec.token_budget <= MAX_TOKEN_BUDGET:
        yield FieldViolation(
            "spec.token_budget", f"must be 1 to {MAX_TOKEN_BUDGET}, got {spec.token_budget}"
        )
    for name, share in (
        ("temptation_share", grammar.temptation_share),
        ("system_prompt_share", grammar.system_prompt_share),
    ):
        if not 0.0 <= share <= 1.0:  # refuses NaN too
            yield FieldViolation(f"spec.microworld.{name}", f"must be 0 to 1, got {share:g}")
    if not 0 <= grammar.unseen_twin_objects <= MAX_UNSEEN_TWIN_OBJECTS:
        yield FieldViolation(
            "spec.microworld.unseen_twin_objects",
            f"must be 0 to {MAX_UNSEEN_TWIN_OBJECTS}, got {grammar.unseen_twin_objects}",
        )


def check_resume_point(point: ResumePoint) -> None:
    """Refuse a point that no stream can have passed.

    Raises:
        InvalidField: an index or a token count is negative, or they cannot belong together.
    """
    for name, value in (
        ("next_index", point.next_index),
        ("cumulative_tokens", point.cumulative_tokens),
    ):
        if value < 0:
            raise InvalidField.at(f"resume_from.{name}", f"must be 0 or more, got {value}")
    if point.next_index == 0 and point.cumulative_tokens != 0:
        raise InvalidField.at(
            "resume_from.cumulative_tokens",
            f"must be 0 where next_index is 0, got {point.cumulative_tokens}",
        )
    if point.cumulative_tokens < point.next_index:
        raise InvalidField.at(
            "resume_from.cumulative_tokens",
            f"must be next_index ({point.next_index}) or more, since every example has a token, "
            f"got {point.cumulative_tokens}",
        )
