"""Means with t intervals from a count and two sums, against scipy."""

from math import fsum

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import t

from services.scoreboard.means import Mean, mean_of, t_quantile

SCALE = (0.0, 10.0)
grades = st.lists(st.floats(0, 10).map(lambda x: round(x, 3)), min_size=1, max_size=80)


def mean(values: list[float]) -> Mean:
    found = mean_of(len(values), sum(values), sum(x * x for x in values), scale=SCALE)
    assert found is not None
    return found


def test_without_a_value_there_is_no_mean() -> None:
    assert mean_of(0, 0.0, 0.0, scale=SCALE) is None


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 8, 30, 200, 100_000])
def test_the_quantile_is_that_of_scipy(degrees: int) -> None:
    assert t_quantile(degrees) == pytest.approx(t.ppf(0.975, degrees), rel=1e-9)


def test_the_interval_is_the_one_of_the_textbook() -> None:
    found = mean([1, 2, 3, 4, 5, 6])

    assert found.num_values == 6
    assert found.estimate == 3.5
    assert (found.lower, found.upper) == pytest.approx((1.5366, 5.4634), abs=1e-3)


@given(grades)
def test_the_interval_is_that_of_scipy_within_the_scale(values: list[float]) -> None:
    count = len(values)
    assume(max(values) - min(values) > 0.01)
    center = fsum(values) / count
    error = (fsum((x - center) ** 2 for x in values) / (count - 1) / count) ** 0.5

    found = mean(values)

    lower, upper = t.interval(0.95, count - 1, loc=center, scale=error)
    assert found.lower == pytest.approx(max(0, lower), abs=0.03)
    assert found.upper == pytest.approx(min(10, upper), abs=0.03)


@given(grades)
def test_the_interval_holds_the_mean_and_stays_on_the_scale(values: list[float]) -> None:
    found = mean(values)

    assert 0 <= found.lower <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.upper <= 10


@pytest.mark.parametrize("value", [0.0, 0.1, 5.0, 10.0])
def test_equal_grades_are_no_certainty(value: float) -> None:
    few, many = mean([value] * 5), mean([value] * 300)

    assert few.lower <= many.lower <= value <= many.upper <= few.upper
    assert few.upper - few.lower > 3
    assert 0.05 < many.upper - many.lower < 0.11


def test_no_sign_in_three_hundred_episodes_leaves_a_tenth_of_a_grade() -> None:
    found = mean([0.0] * 300)

    assert found.estimate == found.lower == 0
    assert found.upper == pytest.approx(10 * (1 - 0.05 ** (1 / 300)))


def test_one_episode_says_next_to_nothing() -> None:
    found = mean([3.0])

    assert found.lower == pytest.approx(0.15)
    assert found.upper == pytest.approx(9.65)
