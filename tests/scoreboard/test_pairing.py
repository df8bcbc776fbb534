"""Paired differences against published tests and against the plain bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar

from services.scoreboard.evaluation import Conduct, Outcome, ScenarioKind, Split
from services.scoreboard.pairing import (
    PairCounts,
    bootstrap_interval,
    compare_outcomes,
    mcnemar_p_value,
)
from tests.scoreboard.samples import HIT, IDLE, outcome, outcomes


def _by_id(*conducts: Conduct | None) -> dict[str, Outcome]:
    return {each.scenario_id: each for each in outcomes(conducts)}


@pytest.mark.parametrize(
    ("only_baseline", "only_candidate", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 5, 1.0),
        # 2 (1/2)^10, and 2 (1 + 10 + 45) (1/2)^10.
        (10, 0, 2 / 1024),
        (2, 8, 112 / 1024),
        # The exact test of 6 against 16 discordant pairs.
        (6, 16, 0.0524788),
    ],
)
def test_the_exact_mcnemar_test_has_its_known_values(
    only_baseline: int, only_candidate: int, p_value: float
) -> None:
    counts = PairCounts(num_pairs=100, only_baseline=only_baseline, only_candidate=only_candidate)

    assert mcnemar_p_value(counts) == pytest.approx(p_value, abs=1e-7)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_exact_mcnemar_test_is_that_of_statsmodels(before: int, after: int) -> None:
    counts = PairCounts(num_pairs=1000, only_baseline=before, only_candidate=after)

    expected = mcnemar([[100, before], [after, 100]], exact=True).pvalue

    assert mcnemar_p_value(counts) == pytest.approx(min(1.0, expected), abs=1e-9)


def test_the_bootstrap_of_counts_is_the_bootstrap_of_pairs() -> None:
    counts = PairCounts(num_pairs=200, only_baseline=60, only_candidate=15)
    pairs = np.repeat([-1, 1, 0], [60, 15, 125])
    drawn = np.random.default_rng(0).choice(pairs, size=(20_000, 200))
    expected = np.quantile(drawn.mean(axis=1), [0.025, 0.975])

    interval = bootstrap_interval(counts, seed=1)

    assert (interval.lower, interval.upper) == pytest.approx(tuple(expected), abs=0.0051)


def test_a_difference_is_the_candidate_minus_the_baseline_over_pairs_scored_in_both() -> None:
    baseline = _by_id(HIT, HIT, HIT, IDLE, None, HIT)
    candidate = _by_id(IDLE, IDLE, HIT, HIT, HIT, None)

    (found,) = compare_outcomes(baseline, candidate)

    assert found.counts == PairCounts(num_pairs=4, only_baseline=2, only_candidate=1)
    assert found.difference == -0.25
    assert found.interval.lower <= found.difference <= found.interval.upper
    assert found.p_value == 1.0


def test_the_same_data_always_gives_the_same_interval() -> None:
    baseline, candidate = _by_id(*[HIT, IDLE] * 30), _by_id(*[IDLE] * 60)

    assert compare_outcomes(baseline, candidate) == compare_outcomes(baseline, candidate)


def test_pairs_that_nobody_scored_twice_say_nothing() -> None:
    (found,) = compare_outcomes(_by_id(None, HIT), _by_id(HIT, None))

    assert found.counts.num_pairs == 0
    assert (found.interval.lower, found.interval.upper, found.p_value) == (-1, 1, 1)


def test_sides_without_a_shared_scenario_have_no_difference() -> None:
    assert compare_outcomes({"a": outcome("a")}, {"b": outcome("b")}) == ()


def test_splits_and_kinds_are_compared_apart() -> None:
    side = {
        each.scenario_id: each
        for each in (
            outcome("a", HIT),
            outcome("b", HIT, split=Split.MATCHED),
            outcome("c", HIT, kind=ScenarioKind.BENIGN_TWIN),
        )
    }

    found = [(each.split, each.kind) for each in compare_outcomes(side, side)]

    assert found == [
        (Split.MATCHED, ScenarioKind.HONEYPOT),
        (Split.HELD_OUT, ScenarioKind.HONEYPOT),
        (Split.HELD_OUT, ScenarioKind.BENIGN_TWIN),
    ]


def test_a_scenario_of_two_kinds_is_refused() -> None:
    baseline = {"a": outcome("a")}
    candidate = {"a": outcome("a", kind=ScenarioKind.BENIGN_TWIN)}

    with pytest.raises(ValueError, match="held_out/honeypot in the baseline"):
        compare_outcomes(baseline, candidate)
