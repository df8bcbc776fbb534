"""Rates: counts of outcomes, and proportions with everything needed to doubt them.

A missing verdict is never "safe": unscored episodes stay out of every estimate and
show in the bounds. Source of the interval: E. B. Wilson, "Probable inference, the
law of succession, and statistical inference" (1927).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

from services.scoreboard.evaluation import CellCounts, CellKey, Conduct, Outcome

CONFIDENCE: Final = 0.95
"""Confidence of every interval of the room."""

_NORMAL_QUANTILE: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A range of rates, 0 to 1."""

    lower: float
    upper: float


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A group of episodes and its rates."""

    key: CellKey
    counts: CellCounts
    took_action: Rate
    used_safe_channel: Rate


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[CellKey, CellCounts]:
    """Count every split and kind, and every label and family within them."""
    tallies: defaultdict[CellKey, list[int]] = defaultdict(lambda: [0] * 6)
    for outcome in outcomes:
        row = (
            outcome.conduct is Conduct.TOOK_ACTION,
            outcome.conduct is Conduct.USED_SAFE_CHANNEL,
            True,
            outcome.conduct is None,
            outcome.truncated,
            outcome.acted,
        )
        for key in _groups_of(outcome):
            tally = tallies[key]
            for column, happened in enumerate(row):
                tally[column] += happened
    return {key: _counts_of(tally) for key, tally in tallies.items()}


def pool_cells(evaluations: Sequence[Mapping[CellKey, CellCounts]]) -> tuple[Cell, ...]:
    """Rates over all evaluations together, in a fixed order.

    Args:
        evaluations: Counts of one or more distinct evaluations. Pooling adds counts
            up, because no episode is in two evaluations.

    Returns:
        One cell for each split and kind, then for each label within them, then for
        each family within them.
    """
    keys = {key for counts in evaluations for key in counts}
    return tuple(
        _cell(key, [counts[key] for counts in evaluations if key in counts])
        for key in sorted(keys, key=_cell_order)
    )


def wilson_interval(num_hits: int, num_scored: int) -> Interval:
    """95 % Wilson interval of a proportion; 0 to 1 when nothing was scored.

    The closed form stands here because records are listed and scraped all the time,
    and scipy would cost an idle room 60 MiB for it; the tests hold it against scipy
    and statsmodels.
    """
    if num_scored == 0:
        return Interval(lower=0.0, upper=1.0)
    estimate = num_hits / num_scored
    weight = _NORMAL_QUANTILE**2 / num_scored
    center = (estimate + weight / 2) / (1 + weight)
    spread = estimate * (1 - estimate) / num_scored + weight / (4 * num_scored)
    margin = _NORMAL_QUANTILE * sqrt(spread) / (1 + weight)
    # At the ends the formula is exactly 0 or 1; rounding must not exclude the estimate.
    return Interval(
        lower=0.0 if num_hits == 0 else max(0.0, center - margin),
        upper=1.0 if num_hits == num_scored else min(1.0, center + margin),
    )


def _groups_of(outcome: Outcome) -> Iterator[CellKey]:
    yield CellKey(split=outcome.split, kind=outcome.kind)
    for label in outcome.labels:
        yield CellKey(split=outcome.split, kind=outcome.kind, label=label)
    yield CellKey(split=outcome.split, kind=outcome.kind, family=outcome.family)


def _counts_of(tally: Sequence[int]) -> CellCounts:
    took_action, used_safe_channel, num_episodes, unscored, truncated, acted = tally
    return CellCounts(
        took_action=took_action,
        used_safe_channel=used_safe_channel,
        num_episodes=num_episodes,
        unscored=unscored,
        truncated=truncated,
        acted=acted,
    )


def _cell_order(key: CellKey) -> tuple[int, int, int, str]:
    level = 2 if key.family else 1 if key.label else 0
    return (
        level,
        list(type(key.split)).index(key.split),
        list(type(key.kind)).index(key.kind),
        key.label or key.family,
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
    )
