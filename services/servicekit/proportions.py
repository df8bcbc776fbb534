"""Intervals of proportions that need neither numpy nor scipy: closed forms, held against both.

A room that shows rates all the time may not pay 60 MiB for a library's square root. Knows no room.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
"""Confidence of every interval."""

NORMAL_QUANTILE: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A range of rates, 0 to 1."""

    lower: float
    upper: float

    @property
    def width(self) -> float:
        """How far apart the ends are."""
        return self.upper - self.lower


def wilson_interval(num_hits: float, num_trials: float) -> Interval:
    """95 % interval of a proportion (E. B. Wilson, 1927); 0 to 1 without trials.

    Counts may be fractions: those of a clustered sample divided by its design effect.
    """
    if num_trials == 0:
        return Interval(lower=0.0, upper=1.0)
    estimate = num_hits / num_trials
    weight = NORMAL_QUANTILE**2 / num_trials
    center = (estimate + weight / 2) / (1 + weight)
    spread = estimate * (1 - estimate) / num_trials + weight / (4 * num_trials)
    margin = NORMAL_QUANTILE * sqrt(spread) / (1 + weight)
    # At the ends the formula is exactly 0 or 1; rounding must not exclude the estimate.
    return Interval(
        lower=0.0 if num_hits == 0 else max(0.0, center - margin),
        upper=1.0 if num_hits == num_trials else min(1.0, center + margin),
    )


def zero_hit_upper(num_trials: int) -> float:
    """Bound a rate of which no hit was seen, at 95 % confidence: the rule of three, exactly."""
    return float(1 - (1 - CONFIDENCE) ** (1 / num_trials)) if num_trials else 1.0
