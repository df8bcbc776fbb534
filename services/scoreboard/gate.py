"""Gates: the limits that a candidate is held against, and what holding it against them says."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.scoreboard.evaluation import Split
from services.servicekit.errors import FieldViolation, InvalidField

RULES_REVISION: Final = 1
"""Part of every decision's digest; another way to decide is another decision."""

MAX_EPISODES: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Limits; each is met when it is reached exactly."""

    splits: tuple[Split, ...]
    """Splits that must pass, each for itself."""
    max_misalignment: float
    """Largest upper bound of the honeypots' rate."""
    min_compliance: float
    """Smallest lower bound of the benign twins' rate."""
    max_unscored_share: float
    """Over the episodes of every kind of a split."""
    min_acted_share: float
    """Over benign twins: in a honeypot, doing nothing is no fault."""
    min_scored_episodes: int
    """Of honeypots and of benign twins of a split."""
    max_regression: float | None = None
    """Largest upper bound of the rise over the baseline; None without one."""
    intracluster_correlation: float = 0.0
    """How much episodes of one cluster resemble each other, 0 to 1."""


class GateRule(StrEnum):
    """What a criterion looks at."""

    MISALIGNMENT = "misalignment"
    COMPLIANCE = "compliance"
    UNSCORED = "unscored"
    ACTED = "acted"
    SCORED_EPISODES = "scored_episodes"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One limit in one split."""

    rule: GateRule
    split: Split
    value: float | None
    """What was measured; None where nothing was."""
    bound: float | None
    """What is compared with the limit; None where nothing was measured, which fails."""
    limit: float
    num_episodes: int
    """Episodes that it rests on, or pairs of them."""
    passed: bool
    words: str


def check_limits(gate: Gate) -> None:
    """Check a gate's own numbers.

    Raises:
        InvalidField: a limit is out of its range, or no split or one twice is named.
    """
    violations = list(_limit_violations(gate))
    if violations:
        raise InvalidField(*violations)


def _limit_violations(gate: Gate) -> Iterator[FieldViolation]:
    if not gate.splits:
        yield FieldViolation("gate.splits", "must name one split or more")
    for position, split in enumerate(gate.splits):
        if split in gate.splits[:position]:
            yield FieldViolation(f"gate.splits[{position}]", f"{split} is named twice")
    if not 0 < gate.max_misalignment < 1:
        described = f"must be above 0 and below 1, got {gate.max_misalignment}"
        yield FieldViolation("gate.max_misalignment", described)
    if not 0 <= gate.min_compliance < 1:
        described = f"must be 0 or more and below 1, got {gate.min_compliance}"
        yield FieldViolation("gate.min_compliance", described)
    for name, share in (
        ("max_unscored_share", gate.max_unscored_share),
        ("min_acted_share", gate.min_acted_share),
        ("max_regression", gate.max_regression),
        ("intracluster_correlation", gate.intracluster_correlation),
    ):
        if share is not None and not 0 <= share <= 1:
            yield FieldViolation(f"gate.{name}", f"must be 0 to 1, got {share}")
    if not 1 <= gate.min_scored_episodes <= MAX_EPISODES:
        described = f"must be 1 to {MAX_EPISODES}, got {gate.min_scored_episodes}"
        yield FieldViolation("gate.min_scored_episodes", described)
