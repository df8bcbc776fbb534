"""Every metric of the scoreboard room, read off the stored records at each scrape.

Labels come from closed sets: experiments (the latest only), their arms and budgets,
splits, kinds, conducts, rules of gates and actions; families and suites of the very latest
experiments only. One model name is shown for each arm and budget, and one service for each
promotion.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.scoreboard import labelled
from services.scoreboard.catalog import Catalog, Contents
from services.scoreboard.decision import Decision, Promotion
from services.scoreboard.evaluation import CellCounts, JudgeErrors
from services.scoreboard.gate import Criterion
from services.scoreboard.labelled import ARM, CELL, Labelled
from services.scoreboard.means import Mean
from services.scoreboard.rates import Rate
from services.scoreboard.series import ArmSeries

REFRESH_FAILURES: Final = Counter(
    "teachwhy_scoreboard_refresh_failures_total",
    "Times that the store could not be listed or read; the series are as old as that.",
)

SubjectT = TypeVar("SubjectT")

_Gauges: TypeAlias = Mapping[str, tuple[str, Callable[[SubjectT], float | None]]]
"""Text and value by name, a series for each subject; a value of None is left out."""


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _estimate(rate: Rate) -> float | None:
    return rate.estimate


def _lower(rate: Rate) -> float:
    return rate.wilson.lower


def _upper(rate: Rate) -> float:
    return rate.wilson.upper


def _num_scored(rate: Rate) -> int:
    return rate.num_scored


_LOWER: Final = "Lower end of that rate's 95 % Wilson interval."
_UPPER: Final = "Upper end of that rate's 95 % Wilson interval."

_CATALOG_GAUGES: Final[_Gauges[Contents]] = {
    "teachwhy_scoreboard_evaluations": (
        "Evaluations in the store that can be read.",
        lambda contents: len(contents.records),
    ),
    "teachwhy_scoreboard_unreadable_evaluations": (
        "Evaluations in the store whose record cannot be read.",
        lambda contents: len(contents.unreadable),
    ),
    "teachwhy_scoreboard_unreadable_decisions": (
        "Decisions and promotions in the store whose record cannot be read.",
        lambda contents: len(contents.unreadable_decisions),
    ),
    "teachwhy_scoreboard_listed_timestamp_seconds": (
        "When the store was last listed; 0 before the first time.",
        lambda contents: contents.listed_at.timestamp() if contents.listed_at else 0.0,
    ),
}
_MODEL_GAUGES: Final[_Gauges[ArmSeries]] = {
    "teachwhy_scoreboard_model_info": (
        "Model of the arm's latest evaluation; always 1.",
        lambda _: 1,
    ),
}
_ARM_GAUGES: Final[_Gauges[ArmSeries]] = {
    "teachwhy_scoreboard_pooled_seeds": (
        "Seeds whose latest evaluation is in the arm's rates.",
        lambda series: series.num_seeds,
    ),
    "teachwhy_scoreboard_latest_evaluation_timestamp_seconds": (
        "When the latest of them was recorded.",
        lambda series: series.latest.timestamp(),
    ),
}
_CELL_GAUGES: Final[_Gauges[CellCounts]] = {
    "teachwhy_scoreboard_episodes": (
        "Episodes in the latest evaluations.",
        lambda counts: counts.num_episodes,
    ),
    "teachwhy_scoreboard_scored_episodes": (
        "Episodes with a score: what the rates are of.",
        lambda counts: counts.num_scored,
    ),
    "teachwhy_scoreboard_unscored_episodes": (
        "Episodes without a score; they count as neither safe nor harmful.",
        lambda counts: counts.unscored,
    ),
    "teachwhy_scoreboard_truncated_episodes": (
        "Episodes with a reply cut off by the token limit.",
        lambda counts: counts.truncated,
    ),
    "teachwhy_scoreboard_acted_episodes": (
        "Episodes in which any call was executed.",
        lambda counts: counts.acted,
    ),
    "teachwhy_scoreboard_opinion_missing_episodes": (
        "Episodes of which a panel was asked and gave no answer.",
        lambda counts: counts.opinion_missing if counts.with_panel else None,
    ),
    "teachwhy_scoreboard_layers_disagree_episodes": (
        "Episodes of which panel and ledger say otherwise.",
        lambda counts: counts.layers_disagree if counts.with_panel else None,
    ),
}
_RATE_GAUGES: Final[_Gauges[Rate]] = {
    "teachwhy_scoreboard_hits": ("Scored episodes with this conduct.", lambda rate: rate.num_hits),
    "teachwhy_scoreboard_rate": (
        "Share of scored episodes with this conduct; absent when none is scored.",
        _estimate,
    ),
    "teachwhy_scoreboard_rate_lower": (_LOWER, _lower),
    "teachwhy_scoreboard_rate_upper": (_UPPER, _upper),
    "teachwhy_scoreboard_rate_lowest_possible": (
        "The rate if no unscored episode had been a hit.",
        lambda rate: rate.possible.lower,
    ),
    "teachwhy_scoreboard_rate_highest_possible": (
        "The rate if every unscored episode had been a hit.",
        lambda rate: rate.possible.upper,
    ),
    "teachwhy_scoreboard_rate_seed_min": (
        "Lowest rate among the pooled seeds.",
        lambda rate: rate.seeds.lower,
    ),
    "teachwhy_scoreboard_rate_seed_max": (
        "Highest rate among the pooled seeds.",
        lambda rate: rate.seeds.upper,
    ),
}
_FAMILY_GAUGES: Final[_Gauges[Rate]] = {
    "teachwhy_scoreboard_family_rate": (
        "Share of a family's scored honeypots in which the bait was taken; absent when none is.",
        _estimate,
    ),
    "teachwhy_scoreboard_family_rate_lower": (_LOWER, _lower),
    "teachwhy_scoreboard_family_rate_upper": (_UPPER, _upper),
    "teachwhy_scoreboard_family_scored_episodes": ("What the rate of a family is of.", _num_scored),
}
_SUITE_GAUGES: Final[_Gauges[Rate]] = {
    "teachwhy_scoreboard_suite_rate": (
        "Share of a suite's scored episodes in which the action was taken; absent when none is.",
        _estimate,
    ),
    "teachwhy_scoreboard_suite_rate_lower": (_LOWER, _lower),
    "teachwhy_scoreboard_suite_rate_upper": (_UPPER, _upper),
    "teachwhy_scoreboard_suite_scored_episodes": ("What the rate of a suite is of.", _num_scored),
}
_AWARENESS_GAUGES: Final[_Gauges[Mean]] = {
    "teachwhy_scoreboard_evaluation_awareness": (
        "How clearly agents took the situation for a test, as a panel says: mean, 0 to 10.",
        lambda mean: mean.estimate,
    ),
    "teachwhy_scoreboard_evaluation_awareness_lower": (
        "Lower end of that mean's 95 % t interval.",
        lambda mean: mean.lower,
    ),
    "teachwhy_scoreboard_evaluation_awareness_upper": (
        "Upper end of that mean's 95 % t interval.",
        lambda mean: mean.upper,
    ),
    "teachwhy_scoreboard_evaluation_awareness_episodes": (
        "Episodes of which the panel said it: what that mean is of.",
        lambda mean: mean.num_values,
    ),
}
_OPINION_GAUGES: Final[_Gauges[Rate]] = {
    "teachwhy_scoreboard_opinion_rate": (
        "Share of which a panel of language models says that the bait was attempted or executed.",
        _estimate,
    ),
    "teachwhy_scoreboard_opinion_rate_lower": (_LOWER, _lower),
    "teachwhy_scoreboard_opinion_rate_upper": (_UPPER, _upper),
}
_DISAGREEMENT_GAUGES: Final[_Gauges[Rate]] = {
    "teachwhy_scoreboard_opinion_episodes": (
        "Episodes of which a panel was asked and gave an answer.",
        _num_scored,
    ),
    "teachwhy_scoreboard_layers_disagree_rate": (
        "Share of those of which panel and ledger say otherwise; absent when there are none.",
        _estimate,
    ),
    "teachwhy_scoreboard_layers_disagree_rate_lower": (_LOWER, _lower),
    "teachwhy_scoreboard_layers_disagree_rate_upper": (_UPPER, _upper),
}
_JUDGE_GAUGES: Final[_Gauges[JudgeErrors]] = {
    "teachwhy_scoreboard_judge_false_positive_rate": (
        "Share of labelled episodes without the bait taken of which the panel says that it was.",
        lambda errors: _share(errors.num_false_positives, errors.num_negatives),
    ),
    "teachwhy_scoreboard_judge_false_negative_rate": (
        "Share of labelled episodes with the bait taken of which the panel says that it was not.",
        lambda errors: _share(errors.num_false_negatives, errors.num_positives),
    ),
}
_DECISION_GAUGES: Final[_Gauges[Decision]] = {
    "teachwhy_scoreboard_gate_passed": (
        "Whether the arm passed every criterion of the gate decided last: 1 or 0.",
        lambda decision: decision.passed,
    ),
    "teachwhy_scoreboard_gate_decision_timestamp_seconds": (
        "When that was decided first.",
        lambda decision: decision.create_time.timestamp(),
    ),
}
_CRITERION_GAUGES: Final[_Gauges[Criterion]] = {
    "teachwhy_scoreboard_gate_criterion_passed": (
        "Whether one limit in one split is met: 1 or 0; 0 where it cannot be measured.",
        lambda criterion: criterion.passed,
    ),
    "teachwhy_scoreboard_gate_criterion_value": (
        "What was measured; absent where nothing was.",
        lambda criterion: criterion.value,
    ),
    "teachwhy_scoreboard_gate_criterion_bound": (
        "What is compared with the limit: the end of the interval for rates.",
        lambda criterion: criterion.bound,
    ),
    "teachwhy_scoreboard_gate_criterion_limit": ("The limit.", lambda criterion: criterion.limit),
}
_PROMOTION_GAUGES: Final[_Gauges[Promotion]] = {
    "teachwhy_scoreboard_promotion_percent": (
        "Share of the service's requests that the candidate answers, 0 to 100.",
        lambda promotion: promotion.act.percent,
    ),
    "teachwhy_scoreboard_promotion_timestamp_seconds": (
        "When the service's latest promotion was recorded.",
        lambda promotion: promotion.create_time.timestamp(),
    ),
}
_ACTION_GAUGES: Final[_Gauges[bool]] = {
    "teachwhy_scoreboard_promotion_action": (
        "1 for what was done last with the service's traffic, 0 for all else that could be.",
        lambda is_done: is_done,
    ),
}


class ScoreboardCollector(Collector):
    """Turns the catalog into series; keeps no number of its own."""

    def __init__(self, catalog: Catalog, *, max_experiments: int) -> None:
        """Show what the catalog holds; of families and suites what it was told to keep."""
        self._catalog = catalog
        self._max_experiments = max_experiments

    def collect(self) -> Iterator[Metric]:
        """Make every series anew from what the catalog holds now."""
        contents = self._catalog.contents
        arms = labelled.ShownArms.of(contents, self._max_experiments)
        gates = labelled.ShownGates.of(contents, self._max_experiments)
        yield from _made(_CATALOG_GAUGES, (), [([], contents)])
        yield from _made(_MODEL_GAUGES, labelled.MODEL, arms.models)
        yield from _made(_ARM_GAUGES, ARM, arms.arms)
        yield from _made(_JUDGE_GAUGES, ARM, arms.judges)
        yield from _made(_CELL_GAUGES, CELL, arms.counts)
        yield from _made(_RATE_GAUGES, labelled.RATE, arms.rates)
        yield from _made(_OPINION_GAUGES, CELL, arms.opinions)
        yield from _made(_DISAGREEMENT_GAUGES, CELL, arms.contradicted)
        yield from _made(_AWARENESS_GAUGES, CELL, arms.aware)
        yield from _made(_FAMILY_GAUGES, labelled.FAMILY, arms.families)
        yield from _made(_SUITE_GAUGES, labelled.SUITE, arms.suites)
        yield from _made(_DECISION_GAUGES, ARM, gates.decisions)
        yield from _made(_CRITERION_GAUGES, labelled.CRITERION, gates.criteria)
        yield from _made(_PROMOTION_GAUGES, labelled.PROMOTION, gates.promotions)
        yield from _made(_ACTION_GAUGES, labelled.ACTION, gates.actions)


def _made(
    gauges: _Gauges[SubjectT], label_names: Sequence[str], subjects: Labelled[SubjectT]
) -> Iterator[Metric]:
    """Make the series of every gauge; one without a subject is there without series."""
    for name, (text, value_of) in gauges.items():
        family = GaugeMetricFamily(name, text, labels=label_names)
        for labels, subject in subjects:
            value = value_of(subject)
            if value is not None:
                family.add_metric(labels, value)
        yield family
