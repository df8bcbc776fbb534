"""Every metric of the scoreboard room, read off the stored records at each scrape.

Labels come from closed sets: experiments (the latest only), their arms and budgets,
splits, kinds, conducts, rules of gates and actions. One model name is shown for each arm and
budget, and one service for each promotion.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.scoreboard.catalog import Catalog, Contents
from services.scoreboard.decision import Decision, Promotion, PromotionAction
from services.scoreboard.evaluation import CellCounts, JudgeErrors
from services.scoreboard.gate import Criterion
from services.scoreboard.rates import Rate
from services.scoreboard.series import (
    ArmSeries,
    latest_decisions,
    latest_promotions,
    latest_series,
)

REFRESH_FAILURES: Final = Counter(
    "teachwhy_scoreboard_refresh_failures_total",
    "Times that the store could not be listed or read; the series are as old as that.",
)

SubjectT = TypeVar("SubjectT")


@dataclass(frozen=True, slots=True)
class _Gauge(Generic[SubjectT]):
    """A series for each subject; a value of None is left out."""

    name: str
    text: str
    value: Callable[[SubjectT], float | None]


_ARM: Final = ("experiment", "arm", "train_tokens")
_CELL: Final = (*_ARM, "split", "kind")
_RATE: Final = (*_CELL, "conduct")
_CRITERION: Final = (*_ARM, "criterion", "split")
_PROMOTION: Final = ("service", *_ARM)

_CATALOG_GAUGES: Final[Sequence[_Gauge[Contents]]] = (
    _Gauge(
        "teachwhy_scoreboard_evaluations",
        "Evaluations in the store that can be read.",
        lambda contents: len(contents.records),
    ),
    _Gauge(
        "teachwhy_scoreboard_unreadable_evaluations",
        "Evaluations in the store whose record cannot be read.",
        lambda contents: len(contents.unreadable),
    ),
    _Gauge(
        "teachwhy_scoreboard_unreadable_decisions",
        "Decisions and promotions in the store whose record cannot be read.",
        lambda contents: len(contents.unreadable_decisions),
    ),
    _Gauge(
        "teachwhy_scoreboard_listed_timestamp_seconds",
        "When the store was last listed; 0 before the first time.",
        lambda contents: contents.listed_at.timestamp() if contents.listed_at else 0.0,
    ),
)
_DECISION_GAUGES: Final[Sequence[_Gauge[Decision]]] = (
    _Gauge(
        "teachwhy_scoreboard_gate_passed",
        "Whether the arm passed every criterion of the gate decided last: 1 or 0.",
        lambda decision: decision.passed,
    ),
    _Gauge(
        "teachwhy_scoreboard_gate_decision_timestamp_seconds",
        "When that was decided first.",
        lambda decision: decision.create_time.timestamp(),
    ),
)
_CRITERION_GAUGES: Final[Sequence[_Gauge[Criterion]]] = (
    _Gauge(
        "teachwhy_scoreboard_gate_criterion_passed",
        "Whether one limit in one split is met: 1 or 0; 0 where it cannot be measured.",
        lambda criterion: criterion.passed,
    ),
    _Gauge(
        "teachwhy_scoreboard_gate_criterion_value",
        "What was measured; absent where nothing was.",
        lambda criterion: criterion.value,
    ),
    _Gauge(
        "teachwhy_scoreboard_gate_criterion_bound",
        "What is compared with the limit: the end of the interval for rates.",
        lambda criterion: criterion.bound,
    ),
    _Gauge(
        "teachwhy_scoreboard_gate_criterion_limit",
        "The limit.",
        lambda criterion: criterion.limit,
    ),
)
_PROMOTION_GAUGES: Final[Sequence[_Gauge[Promotion]]] = (
    _Gauge(
        "teachwhy_scoreboard_promotion_percent",
        "Share of the service's requests that the candidate answers, 0 to 100.",
        lambda promotion: promotion.act.percent,
    ),
    _Gauge(
        "teachwhy_scoreboard_promotion_timestamp_seconds",
        "When the service's latest promotion was recorded.",
        lambda promotion: promotion.create_time.timestamp(),
    ),
)
_ARM_GAUGES: Final[Sequence[_Gauge[ArmSeries]]] = (
    _Gauge(
        "teachwhy_scoreboard_pooled_seeds",
        "Seeds whose latest evaluation is in the arm's rates.",
        lambda series: series.num_seeds,
    ),
    _Gauge(
        "teachwhy_scoreboard_latest_evaluation_timestamp_seconds",
        "When the latest of them was recorded.",
        lambda series: series.latest.timestamp(),
    ),
)
_CELL_GAUGES: Final[Sequence[_Gauge[CellCounts]]] = (
    _Gauge(
        "teachwhy_scoreboard_episodes",
        "Episodes in the latest evaluations.",
        lambda counts: counts.num_episodes,
    ),
    _Gauge(
        "teachwhy_scoreboard_scored_episodes",
        "Episodes with a score: what the rates are of.",
        lambda counts: counts.num_scored,
    ),
    _Gauge(
        "teachwhy_scoreboard_unscored_episodes",
        "Episodes without a score; they count as neither safe nor harmful.",
        lambda counts: counts.unscored,
    ),
    _Gauge(
        "teachwhy_scoreboard_truncated_episodes",
        "Episodes with a reply cut off by the token limit.",
        lambda counts: counts.truncated,
    ),
    _Gauge(
        "teachwhy_scoreboard_acted_episodes",
        "Episodes in which any call was executed.",
        lambda counts: counts.acted,
    ),
)
_OPINION_GAUGES: Final[Sequence[_Gauge[Rate]]] = (
    _Gauge(
        "teachwhy_scoreboard_opinion_rate",
        "Share of which a panel of language models says that the bait was attempted or executed.",
        lambda rate: rate.estimate,
    ),
    _Gauge(
        "teachwhy_scoreboard_opinion_rate_lower",
        "Lower end of that rate's 95 % Wilson interval.",
        lambda rate: rate.wilson.lower,
    ),
    _Gauge(
        "teachwhy_scoreboard_opinion_rate_upper",
        "Upper end of that rate's 95 % Wilson interval.",
        lambda rate: rate.wilson.upper,
    ),
)
_PANEL_GAUGES: Final[Sequence[_Gauge[CellCounts]]] = (
    _Gauge(
        "teachwhy_scoreboard_opinion_missing_episodes",
        "Episodes of which a panel was asked and gave no answer.",
        lambda counts: counts.opinion_missing if counts.with_panel else None,
    ),
    _Gauge(
        "teachwhy_scoreboard_layers_disagree_episodes",
        "Episodes of which panel and ledger say otherwise.",
        lambda counts: counts.layers_disagree if counts.with_panel else None,
    ),
)
_DISAGREEMENT_GAUGES: Final[Sequence[_Gauge[Rate]]] = (
    _Gauge(
        "teachwhy_scoreboard_opinion_episodes",
        "Episodes of which a panel was asked and gave an answer.",
        lambda rate: rate.num_scored,
    ),
    _Gauge(
        "teachwhy_scoreboard_layers_disagree_rate",
        "Share of those of which panel and ledger say otherwise; absent when there are none.",
        lambda rate: rate.estimate,
    ),
    _Gauge(
        "teachwhy_scoreboard_layers_disagree_rate_lower",
        "Lower end of that rate's 95 % Wilson interval.",
        lambda rate: rate.wilson.lower,
    ),
    _Gauge(
        "teachwhy_scoreboard_layers_disagree_rate_upper",
        "Upper end of that rate's 95 % Wilson interval.",
        lambda rate: rate.wilson.upper,
    ),
)
_JUDGE_GAUGES: Final[Sequence[_Gauge[JudgeErrors]]] = (
    _Gauge(
        "teachwhy_scoreboard_judge_false_positive_rate",
        "Share of labelled episodes without the bait taken of which the panel says that it was.",
        lambda errors: _share(errors.num_false_positives, errors.num_negatives),
    ),
    _Gauge(
        "teachwhy_scoreboard_judge_false_negative_rate",
        "Share of labelled episodes with the bait taken of which the panel says that it was not.",
        lambda errors: _share(errors.num_false_negatives, errors.num_positives),
    ),
)
_RATE_GAUGES: Final[Sequence[_Gauge[Rate]]] = (
    _Gauge(
        "teachwhy_scoreboard_hits",
        "Scored episodes with this conduct.",
        lambda rate: rate.num_hits,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate",
        "Share of scored episodes with this conduct; absent when none is scored.",
        lambda rate: rate.estimate,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate_lower",
        "Lower end of the rate's 95 % Wilson interval.",
        lambda rate: rate.wilson.lower,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate_upper",
        "Upper end of the rate's 95 % Wilson interval.",
        lambda rate: rate.wilson.upper,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate_lowest_possible",
        "The rate if no unscored episode had been a hit.",
        lambda rate: rate.possible.lower,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate_highest_possible",
        "The rate if every unscored episode had been a hit.",
        lambda rate: rate.possible.upper,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate_seed_min",
        "Lowest rate among the pooled seeds.",
        lambda rate: rate.seeds.lower,
    ),
    _Gauge(
        "teachwhy_scoreboard_rate_seed_max",
        "Highest rate among the pooled seeds.",
        lambda rate: rate.seeds.upper,
    ),
)


class ScoreboardCollector(Collector):
    """Turns the catalog into series; keeps no number of its own."""

    def __init__(self, catalog: Catalog, *, max_experiments: int) -> None:
        self._catalog = catalog
        self._max_experiments = max_experiments

    def collect(self) -> Iterator[Metric]:
        """Make every series anew from what the catalog holds now."""
        contents, most = self._catalog.contents, self._max_experiments
        arms = [
            ([series.experiment, series.arm, str(series.train_tokens)], series)
            for series in latest_series(contents.records.values(), max_experiments=most)
        ]
        cells = [
            ([*labels, cell.key.split, cell.key.kind], cell)
            for labels, series in arms
            for cell in series.cells
        ]
        rates = [
            ([*labels, conduct], rate)
            for labels, cell in cells
            for conduct, rate in (
                ("took_action", cell.took_action),
                ("used_safe_channel", cell.used_safe_channel),
            )
        ]
        models = GaugeMetricFamily(
            "teachwhy_scoreboard_model_info",
            "Model of the arm's latest evaluation; always 1.",
            labels=(*_ARM, "model"),
        )
        for labels, series in arms:
            models.add_metric([*labels, series.model], 1)
        yield models
        yield from _families(_CATALOG_GAUGES, (), [([], contents)])
        yield from _families(_ARM_GAUGES, _ARM, arms)
        yield from _families(_CELL_GAUGES, _CELL, [(labels, cell.counts) for labels, cell in cells])
        yield from _families(_RATE_GAUGES, _RATE, rates)
        yield from _families(
            _PANEL_GAUGES, _CELL, [(labels, cell.counts) for labels, cell in cells]
        )
        yield from _families(
            _OPINION_GAUGES,
            _CELL,
            [(labels, rate) for labels, cell in cells if (rate := cell.opinion_took_bait)],
        )
        yield from _families(
            _DISAGREEMENT_GAUGES,
            _CELL,
            [(labels, rate) for labels, cell in cells if (rate := cell.layers_disagree)],
        )
        yield from _families(
            _JUDGE_GAUGES,
            _ARM,
            [(labels, errors) for labels, series in arms if (errors := series.judge_errors)],
        )
        yield from _gates(latest_decisions(contents.decisions.values(), max_experiments=most))
        yield from _promotions(latest_promotions(contents.promotions.values(), max_services=most))


def _gates(decisions: Sequence[Decision]) -> Iterator[Metric]:
    subjects = [
        ([decision.experiment, decision.arm, str(decision.train_tokens)], decision)
        for decision in decisions
    ]
    criteria = [
        ([*labels, criterion.rule, criterion.split], criterion)
        for labels, decision in subjects
        for criterion in decision.criteria
    ]
    yield from _families(_DECISION_GAUGES, _ARM, subjects)
    yield from _families(_CRITERION_GAUGES, _CRITERION, criteria)


def _promotions(promotions: Sequence[Promotion]) -> Iterator[Metric]:
    subjects = [
        ([each.act.service, each.experiment, each.arm, str(each.train_tokens)], each)
        for each in promotions
    ]
    yield from _families(_PROMOTION_GAUGES, _PROMOTION, subjects)
    actions = GaugeMetricFamily(
        "teachwhy_scoreboard_promotion_action",
        "1 for what was done last with the service's traffic, 0 for all else that could be.",
        labels=(*_PROMOTION, "action"),
    )
    for labels, promotion in subjects:
        for action in PromotionAction:
            actions.add_metric([*labels, action], action is promotion.act.action)
    yield actions


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _families(
    gauges: Iterable[_Gauge[SubjectT]],
    label_names: Sequence[str],
    subjects: Sequence[tuple[list[str], SubjectT]],
) -> Iterator[Metric]:
    for gauge in gauges:
        family = GaugeMetricFamily(gauge.name, gauge.text, labels=label_names)
        for labels, subject in subjects:
            value = gauge.value(subject)
            if value is not None:
                family.add_metric(labels, value)
        yield family
