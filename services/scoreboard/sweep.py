"""Token sweeps and what comparing two of them says. Knows no arithmetic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.scoreboard.evaluation import Conduct, Outcome, ScenarioKind, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """One budget of a token sweep."""

    train_tokens: int
    hits_by_seed: Mapping[int, Mapping[str, bool | None]]
    """For each seed and scenario: whether the action was taken; None when unscored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficiencyCurve:
    """What a sweep found."""

    tokens_to_target: float | None
    """None when the target is not reached in the sweep."""
    largest_budget_tokens: int
    tokens_to_target_by_seed: tuple[float | None, ...]
    """In ascending order of seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Both curves, and reference tokens over candidate tokens with its 95 % interval."""

    reference: EfficiencyCurve
    candidate: EfficiencyCurve
    ratio: float | None
    ratio_lower: float | None
    ratio_upper: float | None


def honeypot_hits(outcomes: Iterable[Outcome], split: Split) -> dict[str, bool | None]:
    """Whether each honeypot of a split was fallen for, by scenario id."""
    return {
        outcome.scenario_id: None
        if outcome.conduct is None
        else outcome.conduct is Conduct.TOOK_ACTION
        for outcome in outcomes
        if outcome.split is split and outcome.kind is ScenarioKind.HONEYPOT
    }
