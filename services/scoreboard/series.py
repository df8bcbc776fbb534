"""What is shown over time: the latest evaluations of every arm, pooled over seeds.

Knows nothing of Prometheus. A function of the stored records alone, so that a restart
and every replica show the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from services.scoreboard.decision import Decision, Promotion
from services.scoreboard.evaluation import CellKey, EvaluationRecord, JudgeErrors, ScenarioKind
from services.scoreboard.rates import Cell, pool_cells

ShownT = TypeVar("ShownT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSeries:
    """An arm of an experiment at one token budget, over its seeds."""

    experiment: str
    arm: str
    train_tokens: int
    model: str
    """Model of the latest evaluation; the other seeds have models of their own."""
    num_seeds: int
    latest: datetime
    """When the latest of the pooled evaluations was recorded."""
    cells: tuple[Cell, ...]
    """One for each split and kind, or for each part of them that was asked for."""
    judge_errors: JudgeErrors | None
    """Of the panel that was asked; None where none was, or nobody measured it."""


def is_whole(key: CellKey) -> bool:
    """Whether a cell is of a whole split and kind."""
    return not (key.label or key.family or key.suite)


def is_honeypot_family(key: CellKey) -> bool:
    """Whether a cell is of one family of honeypots."""
    return bool(key.family) and key.kind is ScenarioKind.HONEYPOT


def is_suite(key: CellKey) -> bool:
    """Whether a cell is of one suite, of honeypots or of benign twins."""
    return bool(key.suite) and key.kind in {ScenarioKind.HONEYPOT, ScenarioKind.BENIGN_TWIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownParts:
    """Chooses what a catalog keeps of families and suites: what is shown, and nothing else."""

    max_experiments: int
    """Only of the experiments recorded last; 0 keeps nothing."""

    def names(self, newest_first: Iterable[EvaluationRecord]) -> frozenset[str]:
        """Names of the records that are pooled into what is shown."""
        groups = _latest_groups(newest_first, self.max_experiments).values()
        return frozenset(record.name for group in groups for record in _one_scale(group))

    def keeps(self, key: CellKey) -> bool:
        """Whether a cell of theirs is shown."""
        return is_honeypot_family(key) or is_suite(key)


def latest_series(
    newest_first: Iterable[EvaluationRecord],
    *,
    max_experiments: int,
    shows: Callable[[CellKey], bool] = is_whole,
) -> tuple[ArmSeries, ...]:
    """Pool the latest evaluation of each seed, for every arm and token budget.

    Args:
        newest_first: All records.
        max_experiments: Only the experiments recorded last are shown, because each
            adds series for ever.
        shows: Which cells are wanted.

    Returns:
        Series in the order of their names. A pool holds one rubric and one panel only,
        those of its latest evaluation: seeds that were last scored by others are left out.
    """
    groups = _latest_groups(newest_first, max_experiments)
    return tuple(_pooled(group, shows) for _, group in sorted(groups.items()))


def latest_decisions(
    newest_first: Iterable[Decision], *, max_experiments: int
) -> tuple[Decision, ...]:
    """Take the latest decision on every arm and token budget, in the order of their names.

    Args:
        newest_first: All decisions.
        max_experiments: Only the experiments decided on last are shown.
    """
    latest: dict[tuple[str, str, int], Decision] = {}
    for decision in _of_latest(newest_first, lambda each: each.experiment, max_experiments):
        latest.setdefault((decision.experiment, decision.arm, decision.train_tokens), decision)
    return tuple(decision for _, decision in sorted(latest.items()))


def latest_promotions(
    newest_first: Iterable[Promotion], *, max_services: int
) -> tuple[Promotion, ...]:
    """Take the latest promotion of every service, in the order of their names.

    Args:
        newest_first: All promotions.
        max_services: Only the services acted on last are shown.
    """
    latest: dict[str, Promotion] = {}
    for promotion in _of_latest(newest_first, lambda each: each.act.service, max_services):
        latest.setdefault(promotion.act.service, promotion)
    return tuple(promotion for _, promotion in sorted(latest.items()))


def _latest_groups(
    newest_first: Iterable[EvaluationRecord], max_experiments: int
) -> Mapping[tuple[str, str, int], list[EvaluationRecord]]:
    """Take the latest record of each seed, newest first, by experiment, arm and budget."""
    groups: dict[tuple[str, str, int], dict[int, EvaluationRecord]] = {}
    for record in _of_latest(newest_first, lambda each: each.header.experiment, max_experiments):
        header = record.header
        group = groups.setdefault((header.experiment, header.arm, header.train_tokens), {})
        group.setdefault(header.seed, record)
    return {key: list(group.values()) for key, group in groups.items()}


def _of_latest(
    newest_first: Iterable[ShownT], group_of: Callable[[ShownT], str], most: int
) -> Iterator[ShownT]:
    """Leave out what is of none of so many groups, those with the newest."""
    groups: set[str] = set()
    for each in newest_first:
        group = group_of(each)
        if group in groups or len(groups) < most:
            groups.add(group)
            yield each


def _one_scale(newest_first: list[EvaluationRecord]) -> list[EvaluationRecord]:
    """Leave out what was scored by another rubric or panel than the latest."""
    scored_by = _scored_by(newest_first[0])
    return [record for record in newest_first if _scored_by(record) == scored_by]


def _pooled(newest_first: list[EvaluationRecord], shows: Callable[[CellKey], bool]) -> ArmSeries:
    pooled = _one_scale(newest_first)
    latest = pooled[0]
    return ArmSeries(
        experiment=latest.header.experiment,
        arm=latest.header.arm,
        train_tokens=latest.header.train_tokens,
        model=latest.header.model,
        num_seeds=len(pooled),
        latest=latest.create_time,
        judge_errors=latest.header.judge_errors,
        cells=pool_cells(
            [
                {key: counts for key, counts in record.counts.items() if shows(key)}
                for record in pooled
            ]
        ),
    )


def _scored_by(record: EvaluationRecord) -> tuple[str, str, JudgeErrors | None]:
    header = record.header
    return header.rubric, header.opinion_rubric, header.judge_errors
