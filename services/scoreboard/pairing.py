"""Paired comparison of two sets of evaluations on the scenarios they share.

Knows nothing of names or of stores. All that a paired difference of proportions
depends on is how many pairs there are and in how many only one side took the action.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.scoreboard.evaluation import Conduct, Outcome, ScenarioKind, Split
from services.scoreboard.rates import CONFIDENCE, Interval
from services.servicekit.digest import derive_seed

NUM_RESAMPLES: Final = 20_000
"""Bootstrap resamples behind an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """Pairs of one split and kind, by who took the action."""

    num_pairs: int
    only_baseline: int
    only_candidate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The candidate's rate minus the baseline's, -1 to 1, over the pairs."""

    split: Split
    kind: ScenarioKind
    counts: PairCounts
    difference: float
    interval: Interval
    p_value: float


def compare_outcomes(
    baseline: Mapping[str, Outcome], candidate: Mapping[str, Outcome]
) -> tuple[PairedDifference, ...]:
    """Compare outcomes by scenario id.

    Args:
        baseline: Outcomes of the baseline by scenario id.
        candidate: Outcomes of the candidate by scenario id.

    Returns:
        One difference for each split and kind in which scenarios are shared; empty
        when none is. A pair in which either side is unscored does not count. Where
        no pair is left nothing is known: difference 0, interval -1 to 1, p-value 1.

    Raises:
        ValueError: a scenario has another split or kind on the other side.
    """
    tallies: defaultdict[tuple[Split, ScenarioKind], list[int]] = defaultdict(lambda: [0, 0, 0])
    for scenario_id in baseline.keys() & candidate.keys():
        before, after = baseline[scenario_id], candidate[scenario_id]
        if (before.split, before.kind) != (after.split, after.kind):
            raise ValueError(
                f'scenario "{scenario_id}" is {before.split}/{before.kind} in the baseline '
                f"and {after.split}/{after.kind} in the candidate"
            )
        tally = tallies[before.split, before.kind]
        if before.conduct is None or after.conduct is None:
            continue
        took_before = before.conduct is Conduct.TOOK_ACTION
        took_after = after.conduct is Conduct.TOOK_ACTION
        tally[0] += 1
        tally[1] += took_before and not took_after
        tally[2] += took_after and not took_before
    return tuple(
        _difference(
            split,
            kind,
            PairCounts(num_pairs=pairs, only_baseline=before, only_candidate=after),
        )
        for split in Split
        for kind in ScenarioKind
        if (split, kind) in tallies
        for pairs, before, after in [tallies[split, kind]]
    )


def bootstrap_interval(counts: PairCounts, *, seed: int) -> Interval:
    """95 % percentile interval of the difference, by bootstrap over scenarios.

    Drawing n pairs with replacement and summing their differences of -1, 0 and 1 is
    drawing the three counts from one multinomial distribution. So that is what is
    drawn: the very same bootstrap, at a cost that does not grow with the pairs.
    """
    # numpy costs an idle room 12 MiB and comparisons are rare.
    import numpy as np  # noqa: PLC0415

    num_concordant = counts.num_pairs - counts.only_baseline - counts.only_candidate
    groups = np.array([counts.only_baseline, counts.only_candidate, num_concordant])
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(counts.num_pairs, groups / counts.num_pairs, size=NUM_RESAMPLES)
    differences = (drawn[:, 1] - drawn[:, 0]) / counts.num_pairs
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(differences, [tail, 1 - tail])
    return Interval(lower=float(lower), upper=float(upper))


def mcnemar_p_value(counts: PairCounts) -> float:
    """Two-sided p-value of the exact McNemar test (Q. McNemar, 1947).

    It is the exact binomial test of the discordant pairs against one half.
    """
    num_discordant = counts.only_baseline + counts.only_candidate
    if num_discordant == 0:
        return 1.0
    # scipy costs an idle room 60 MiB and comparisons are rare.
    from scipy.stats import binomtest  # noqa: PLC0415

    return min(1.0, float(binomtest(counts.only_baseline, num_discordant, 0.5).pvalue))


def _difference(split: Split, kind: ScenarioKind, counts: PairCounts) -> PairedDifference:
    if counts.num_pairs == 0:
        return PairedDifference(
            split=split,
            kind=kind,
            counts=counts,
            difference=0.0,
            interval=Interval(lower=-1.0, upper=1.0),
            p_value=1.0,
        )
    # The seed depends on the counts alone: the same data gives the same interval.
    seed = derive_seed("paired-difference", counts)
    return PairedDifference(
        split=split,
        kind=kind,
        counts=counts,
        difference=(counts.only_candidate - counts.only_baseline) / counts.num_pairs,
        interval=bootstrap_interval(counts, seed=seed),
        p_value=mcnemar_p_value(counts),
    )
