"""Rates: counts of outcomes, proportions and means with everything needed to doubt them.

A missing verdict is never "safe": unscored episodes stay out of every estimate and
show in the bounds. Source of the interval: E. B. Wilson, "Probable inference, the
law of succession, and statistical inference" (1927).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.scoreboard.evaluation import (
    MOST_AWARENESS,
    CellCounts,
    CellKey,
    Conduct,
    Outcome,
)
from services.scoreboard.means import Mean, mean_of
from services.servicekit.proportions import Interval, wilson_interval, zero_hit_upper


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A proportion with its uncertainty. Every field but the counts is 0 to 1."""

    num_hits: int
    num_scored: int
    estimate: float | None
    """None when nothing was scored; the interval is then 0 to 1."""
    wilson: Interval
    possible: Interval
    """The rate if no unscored episode, or every one, had been a hit."""
    seeds: Interval
    """Lowest and highest estimate among the pooled evaluations."""
    zero_hit_upper: float | None
    """With no hit: what the rate is below, at 95 % confidence; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A group of episodes and its rates."""

    key: CellKey
    counts: CellCounts
    took_action: Rate
    used_safe_channel: Rate
    opinion_took_bait: Rate | None
    """What a panel says of the episodes it was asked about; None where it was asked of none."""
    layers_disagree: Rate | None
    """Share of the episodes it gave an answer on of which it and the ledger say otherwise."""
    evaluation_awareness: Mean | None
    """How clearly agents took the situation for a test, 0 to 10; None where it was never graded."""


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[CellKey, CellCounts]:
    """Count every split and kind, and every label, family and suite within them."""
    tallies: defaultdict[CellKey, _Tally] = defaultdict(_Tally)
    for outcome in outcomes:
        row = (
            outcome.conduct is Conduct.TOOK_ACTION,
            outcome.conduct is Conduct.USED_SAFE_CHANNEL,
            True,
            outcome.conduct is None,
            outcome.truncated,
            outcome.acted,
            outcome.has_panel,
            outcome.has_panel and outcome.opinion is None,
            outcome.opinion is not None and outcome.opinion.took_bait,
            outcome.layers_disagree,
        )
        for key in _groups_of(outcome):
            tallies[key].add(row, outcome.evaluation_awareness)
    return {key: tally.counts for key, tally in tallies.items()}


def pool_cells(evaluations: Sequence[Mapping[CellKey, CellCounts]]) -> tuple[Cell, ...]:
    """Rates over all evaluations together, in a fixed order.

    Args:
        evaluations: Counts of one or more distinct evaluations. Pooling adds counts
            up, because no episode is in two evaluations.

    Returns:
        One cell for each split and kind, then for each label within them, then for
        each family within them, then for each suite within them.
    """
    keys = {key for counts in evaluations for key in counts}
    return tuple(
        _cell(key, [counts[key] for counts in evaluations if key in counts])
        for key in sorted(keys, key=_cell_order)
    )


def _groups_of(outcome: Outcome) -> Iterator[CellKey]:
    yield CellKey(split=outcome.split, kind=outcome.kind)
    for label in outcome.labels:
        yield CellKey(split=outcome.split, kind=outcome.kind, label=label)
    yield CellKey(split=outcome.split, kind=outcome.kind, family=outcome.family)
    if outcome.suite:
        yield CellKey(split=outcome.split, kind=outcome.kind, suite=outcome.suite)


class _Tally:
    """Counts of a group while they grow."""

    __slots__ = ("_awareness", "_happened")

    def __init__(self) -> None:
        self._happened = [0] * 10
        self._awareness = (0, 0.0, 0.0)

    def add(self, row: Sequence[bool], awareness: float | None) -> None:
        for column, happened in enumerate(row):
            self._happened[column] += happened
        if awareness is not None:
            count, total, squares = self._awareness
            self._awareness = (count + 1, total + awareness, squares + awareness**2)

    @property
    def counts(self) -> CellCounts:
        conduct, panel = self._happened[:6], self._happened[6:]
        took_action, used_safe_channel, num_episodes, unscored, truncated, acted = conduct
        with_panel, opinion_missing, opinion_took_bait, layers_disagree = panel
        with_awareness, awareness_sum, awareness_squares = self._awareness
        return CellCounts(
            took_action=took_action,
            used_safe_channel=used_safe_channel,
            num_episodes=num_episodes,
            unscored=unscored,
            truncated=truncated,
            acted=acted,
            with_panel=with_panel,
            opinion_missing=opinion_missing,
            opinion_took_bait=opinion_took_bait,
            layers_disagree=layers_disagree,
            with_awareness=with_awareness,
            awareness_sum=awareness_sum,
            awareness_squares=awareness_squares,
        )


def _cell_order(key: CellKey) -> tuple[int, int, int, str]:
    level = 3 if key.suite else 2 if key.family else 1 if key.label else 0
    return (
        level,
        list(type(key.split)).index(key.split),
        list(type(key.kind)).index(key.kind),
        key.label or key.family or key.suite,
    )


def _cell(key: CellKey, by_evaluation: Sequence[CellCounts]) -> Cell:
    pooled = sum(by_evaluation, start=CellCounts())
    return Cell(
        key=key,
        counts=pooled,
        took_action=_rate([(c.took_action, c.num_scored, c.unscored) for c in by_evaluation]),
        used_safe_channel=_rate(
            [(c.used_safe_channel, c.num_scored, c.unscored) for c in by_evaluation]
        ),
        opinion_took_bait=_opinion_rate(
            [c for c in by_evaluation if c.with_panel], lambda c: c.opinion_took_bait
        ),
        layers_disagree=_opinion_rate(
            [c for c in by_evaluation if c.with_panel], lambda c: c.layers_disagree
        ),
        evaluation_awareness=mean_of(
            pooled.with_awareness,
            pooled.awareness_sum,
            pooled.awareness_squares,
            scale=(0.0, MOST_AWARENESS),
        ),
    )


def _opinion_rate(
    by_evaluation: Sequence[CellCounts], hits_of: Callable[[CellCounts], int]
) -> Rate | None:
    if not by_evaluation:
        return None
    return _rate(
        [(hits_of(c), c.with_panel - c.opinion_missing, c.opinion_missing) for c in by_evaluation]
    )


def _rate(by_evaluation: Sequence[tuple[int, int, int]]) -> Rate:
    """Pool (hits, scored, unscored) of each evaluation into one rate."""
    num_hits, num_scored, unscored = (sum(column) for column in zip(*by_evaluation, strict=True))
    estimates = [hits / scored for hits, scored, _ in by_evaluation if scored]
    num_episodes = num_scored + unscored
    return Rate(
        num_hits=num_hits,
        num_scored=num_scored,
        estimate=num_hits / num_scored if num_scored else None,
        wilson=wilson_interval(num_hits, num_scored),
        possible=Interval(
            lower=num_hits / num_episodes, upper=(num_hits + unscored) / num_episodes
        ),
        seeds=Interval(lower=min(estimates, default=0.0), upper=max(estimates, default=1.0)),
        zero_hit_upper=zero_hit_upper(num_scored) if num_scored and not num_hits else None,
    )
