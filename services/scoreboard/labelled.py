"""What is shown of evaluations, decisions and promotions, each with the values of its labels.

Knows nothing of Prometheus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, TypeVar

from services.scoreboard.catalog import Contents
from services.scoreboard.decision import Decision, Promotion, PromotionAction
from services.scoreboard.evaluation import CellCounts, CellKey, JudgeErrors
from services.scoreboard.gate import Criterion
from services.scoreboard.means import Mean
from services.scoreboard.rates import Cell, Rate
from services.scoreboard.series import (
    ArmSeries,
    is_honeypot_family,
    is_suite,
    latest_decisions,
    latest_promotions,
    latest_series,
)

PartT = TypeVar("PartT")

SubjectT = TypeVar("SubjectT")

Labelled: TypeAlias = Sequence[tuple[list[str], SubjectT]]
"""Subjects, each with the values of its labels."""

ARM: Final = ("experiment", "arm", "train_tokens")
MODEL: Final = (*ARM, "model")
CELL: Final = (*ARM, "split", "kind")
RATE: Final = (*CELL, "conduct")
FAMILY: Final = (*ARM, "split", "family")
SUITE: Final = (*CELL, "suite")
CRITERION: Final = (*ARM, "criterion", "split")
PROMOTION: Final = ("service", *ARM)
ACTION: Final = (*PROMOTION, "action")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownArms:
    """What is shown of the latest evaluations of every arm and budget."""

    arms: Labelled[ArmSeries]
    """By ARM."""
    models: Labelled[ArmSeries]
    """By MODEL."""
    judges: Labelled[JudgeErrors]
    """By ARM, where a panel was measured."""
    counts: Labelled[CellCounts]
    """By CELL, as all that is left but the last three."""
    opinions: Labelled[Rate]
    contradicted: Labelled[Rate]
    aware: Labelled[Mean]
    rates: Labelled[Rate]
    """By RATE."""
    families: Labelled[Rate]
    """By FAMILY."""
    suites: Labelled[Rate]
    """By SUITE."""

    @classmethod
    def of(cls, contents: Contents, most: int) -> Self:
        """Pool the evaluations of so many experiments, those recorded last."""
        arms = _arms(latest_series(contents.records.values(), max_experiments=most))
        cells = [
            ([*labels, cell.key.split, cell.key.kind], cell)
            for labels, series in arms
            for cell in series.cells
        ]
        chosen = contents.chosen.values()
        families = latest_series(chosen, max_experiments=most, shows=is_honeypot_family)
        suites = latest_series(chosen, max_experiments=most, shows=is_suite)
        return cls(
            arms=arms,
            models=[([*labels, series.model], series) for labels, series in arms],
            judges=[(labels, found) for labels, each in arms if (found := each.judge_errors)],
            counts=[(labels, cell.counts) for labels, cell in cells],
            opinions=_known(cells, lambda cell: cell.opinion_took_bait),
            contradicted=_known(cells, lambda cell: cell.layers_disagree),
            aware=_known(cells, lambda cell: cell.evaluation_awareness),
            rates=[rate for labels, cell in cells for rate in _rates(labels, cell)],
            families=_actions(families, lambda key: [key.split, key.family]),
            suites=_actions(suites, lambda key: [key.split, key.kind, key.suite]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGates:
    """What is shown of the latest decision on every arm, and of what was done with it."""

    decisions: Labelled[Decision]
    """By ARM."""
    criteria: Labelled[Criterion]
    """By CRITERION."""
    promotions: Labelled[Promotion]
    """By PROMOTION."""
    actions: Labelled[bool]
    """By ACTION: whether it is what was done, for all that could be."""

    @classmethod
    def of(cls, contents: Contents, most: int) -> Self:
        """Take so many experiments, and so many services, those acted on last."""
        decisions = [
            ([each.experiment, each.arm, str(each.train_tokens)], each)
            for each in latest_decisions(contents.decisions.values(), max_experiments=most)
        ]
        promotions = [
            ([each.act.service, each.experiment, each.arm, str(each.train_tokens)], each)
            for each in latest_promotions(contents.promotions.values(), max_services=most)
        ]
        return cls(
            decisions=decisions,
            criteria=[
                ([*labels, criterion.rule, criterion.split], criterion)
                for labels, decision in decisions
                for criterion in decision.criteria
            ],
            promotions=promotions,
            actions=[
                ([*labels, action], action is promotion.act.action)
                for labels, promotion in promotions
                for action in PromotionAction
            ],
        )


def _arms(found: Sequence[ArmSeries]) -> Labelled[ArmSeries]:
    return [([each.experiment, each.arm, str(each.train_tokens)], each) for each in found]


def _rates(labels: list[str], cell: Cell) -> Labelled[Rate]:
    return [
        ([*labels, "took_action"], cell.took_action),
        ([*labels, "used_safe_channel"], cell.used_safe_channel),
    ]


def _known(cells: Labelled[Cell], part: Callable[[Cell], PartT | None]) -> Labelled[PartT]:
    return [(labels, found) for labels, cell in cells if (found := part(cell)) is not None]


def _actions(
    found: Sequence[ArmSeries], labels_of: Callable[[CellKey], list[str]]
) -> Labelled[Rate]:
    return [
        ([*labels, *labels_of(cell.key)], cell.took_action)
        for labels, series in _arms(found)
        for cell in series.cells
    ]
