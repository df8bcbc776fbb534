"""Means of grades with their intervals, from a count and two sums.

Source: Student, "The probable error of a mean" (1908).
"""

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Final

from services.servicekit.proportions import CONFIDENCE, zero_hit_upper

_TAILS: Final = 1 - CONFIDENCE
"""Probability of both tails together."""

_NO_SPREAD: Final = 1e-7
"""Share of the scale below which a standard deviation is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean with its 95 % interval, on the scale of the values."""

    num_values: int
    """One or more."""
    estimate: float
    lower: float
    upper: float


def mean_of(
    num_values: int, total: float, squares: float, *, scale: tuple[float, float]
) -> Mean | None:
    """Take the mean of values of which only these sums are known; None without a value.

    The interval is Student's and takes values for independent; it ends where the scale ends.
    Where all values are equal, a single one included, it would be a point. Then a share of other
    values of up to ``1 - 0.05^(1 / n)`` is not excluded (the rule of three, exactly), and the ends
    are where the mean would be if all of these stood at one end of the scale.

    Args:
        num_values: how many there are.
        total: their sum.
        squares: sum of their squares.
        scale: least and greatest value that is possible.
    """
    if not num_values:
        return None
    least, greatest = scale
    mean = min(max(total / num_values, least), greatest)
    variance = (squares - total**2 / num_values) / (num_values - 1) if num_values > 1 else 0.0
    deviation = sqrt(max(0.0, variance))
    if deviation <= _NO_SPREAD * (greatest - least):
        others = zero_hit_upper(num_values)
        lower, upper = mean - others * (mean - least), mean + others * (greatest - mean)
    else:
        margin = t_quantile(num_values - 1) * deviation / sqrt(num_values)
        lower, upper = max(least, mean - margin), min(greatest, mean + margin)
    return Mean(num_values=num_values, estimate=mean, lower=lower, upper=upper)


@cache
def t_quantile(degrees: int) -> float:
    """Bound within which Student's t lies in 95 of 100 samples.

    Args:
        degrees: degrees of freedom, 1 or more.
    """
    # It costs an idle room 27 MiB, and only panels of language models give grades.
    from scipy.special import stdtrit  # noqa: PLC0415

    return float(stdtrit(degrees, 1 - _TAILS / 2))
