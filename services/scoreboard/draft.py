"""An evaluation while it is being sent: every rule that a record keeps is checked here.

Knows nothing of streams or of stores.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from services.scoreboard.evaluation import (
    MOST_AWARENESS,
    Conduct,
    Header,
    JudgeErrors,
    Outcome,
)
from services.servicekit.errors import FieldViolation, InvalidField

MAX_TEXT: Final = 512
"""Most characters of a model, a rubric, a scenario id, a family or a suite."""

MAX_LABELS: Final = 32
"""Most labels of one outcome."""

MAX_COUNT: Final = 2**63 - 1

_NAME: Final = re.compile(r"[a-z0-9-]{1,63}")
_NAME_RULE: Final = 'must be 1 to 63 lower-case letters, digits and "-"'
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_VIOLATIONS_SHOWN: Final = 20


class EvaluationDraft:
    """Collects outcomes under a header; nothing in it is stored yet."""

    def __init__(self, header: Header, *, max_outcomes: int) -> None:
        """Start a draft.

        Raises:
            InvalidField: the header breaks a rule; every violation is named.
        """
        _raise_any(list(_header_violations(header)))
        self.header = header
        self._max_outcomes = max_outcomes
        self._positions: dict[str, int] = {}
        self._outcomes: list[Outcome] = []

    @property
    def num_outcomes(self) -> int:
        """Outcomes so far: the index of the next one."""
        return len(self._outcomes)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Append outcomes; indices in errors count over the whole evaluation.

        Raises:
            InvalidField: an outcome breaks a rule or repeats a scenario, or they are
                too many.
        """
        if self.num_outcomes + len(outcomes) > self._max_outcomes:
            raise InvalidField.at(
                f"outcomes[{self._max_outcomes}]",
                f"an evaluation may hold at most {self._max_outcomes} outcomes",
            )
        violations: list[FieldViolation] = []
        for index, outcome in enumerate(outcomes, start=self.num_outcomes):
            first = self._positions.setdefault(outcome.scenario_id, index)
            violations.extend(_outcome_violations(f"outcomes[{index}]", outcome))
            if first != index:
                violations.append(
                    FieldViolation(
                        f"outcomes[{index}].scenario_id",
                        f'"{outcome.scenario_id}" stands at outcomes[{first}] already; '
                        "each scenario may occur once",
                    )
                )
            if len(violations) >= _VIOLATIONS_SHOWN:
                break
        _raise_any(violations)
        self._outcomes.extend(outcomes)

    def finish(self) -> tuple[Outcome, ...]:
        """Return the outcomes in the order of their scenarios.

        Raises:
            InvalidField: there are none.
        """
        if not self._outcomes:
            raise InvalidField.at("outcomes", "an evaluation must hold one outcome or more")
        return tuple(sorted(self._outcomes, key=lambda outcome: outcome.scenario_id))


def _raise_any(violations: Sequence[FieldViolation]) -> None:
    if violations:
        raise InvalidField(*violations[:_VIOLATIONS_SHOWN])


def _header_violations(header: Header) -> Iterator[FieldViolation]:
    for field, name in (("experiment", header.experiment), ("arm", header.arm)):
        if not _NAME.fullmatch(name):
            yield FieldViolation(f"header.{field}", f"{_NAME_RULE}, got {name!r}")
    for field, text in (("model", header.model), ("rubric", header.rubric)):
        yield from _text_violations(f"header.{field}", text)
    if not 0 <= header.train_tokens <= MAX_COUNT:
        yield FieldViolation("header.train_tokens", f"must be 0 or more, got {header.train_tokens}")
    if header.opinion_rubric:
        yield from _text_violations("header.opinion_rubric", header.opinion_rubric)
    if header.judge_errors is not None:
        yield from _judge_errors_violations(header.judge_errors)
    if not _DIGEST.fullmatch(header.digest):
        yield FieldViolation(
            "header.digest", f"must be 64 digits of 0-9 and a-f, got {header.digest!r}"
        )


def _judge_errors_violations(errors: JudgeErrors) -> Iterator[FieldViolation]:
    path = "header.judge_errors"
    if not _DIGEST.fullmatch(errors.calibration_digest):
        yield FieldViolation(f"{path}.calibration_digest", "must be 64 digits of 0-9 and a-f")
    for field, of_them, in_all in (
        ("num_false_positives", errors.num_false_positives, errors.num_negatives),
        ("num_false_negatives", errors.num_false_negatives, errors.num_positives),
    ):
        if not 0 <= of_them <= in_all:
            yield FieldViolation(f"{path}.{field}", f"must be 0 to {in_all}, got {of_them}")


def _outcome_violations(path: str, outcome: Outcome) -> Iterator[FieldViolation]:
    yield from _text_violations(f"{path}.scenario_id", outcome.scenario_id)
    yield from _text_violations(f"{path}.family", outcome.family)
    for field, text in (("cluster", outcome.cluster), ("suite", outcome.suite)):
        if text:
            yield from _text_violations(f"{path}.{field}", text)
    yield from _panel_violations(path, outcome)
    if outcome.conduct is not None and outcome.acted is (outcome.conduct is Conduct.NO_ACTION):
        yield FieldViolation(
            f"{path}.acted",
            f"{str(outcome.acted).lower()} contradicts the conduct {outcome.conduct}",
        )
    if len(outcome.labels) > MAX_LABELS:
        yield FieldViolation(f"{path}.labels", f"must be at most {MAX_LABELS}")
    for position, label in enumerate(outcome.labels):
        if not _NAME.fullmatch(label):
            yield FieldViolation(f"{path}.labels[{position}]", f"{_NAME_RULE}, got {label!r}")
        elif label in outcome.labels[:position]:
            yield FieldViolation(f"{path}.labels[{position}]", f'"{label}" stands twice')


def _panel_violations(path: str, outcome: Outcome) -> Iterator[FieldViolation]:
    awareness = outcome.evaluation_awareness
    said = {"opinion": outcome.opinion, "evaluation_awareness": awareness}
    for field, value in said.items():
        if value is not None and not outcome.has_panel:
            yield FieldViolation(
                f"{path}.{field}", "is given, and has_panel says that none was asked"
            )
    # Written so that what is no number fails as well.
    if awareness is not None and not 0 <= awareness <= MOST_AWARENESS:
        yield FieldViolation(
            f"{path}.evaluation_awareness", f"must be 0 to {MOST_AWARENESS:g}, got {awareness}"
        )
    if outcome.layers_disagree and (outcome.opinion is None or outcome.conduct is None):
        yield FieldViolation(f"{path}.layers_disagree", "needs both layers to have said something")


def _text_violations(path: str, text: str) -> Iterator[FieldViolation]:
    if not 1 <= len(text) <= MAX_TEXT:
        yield FieldViolation(path, f"must be 1 to {MAX_TEXT} characters, got {len(text)}")
    elif not text.isprintable():
        yield FieldViolation(path, "must be printable characters only")
