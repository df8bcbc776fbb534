"""Gates, decisions and promotions between protobuf and domain. Knows no rule of either."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from teachwhy.scoreboard.v1 import gate_pb2, scoreboard_service_pb2

from services.scoreboard.cell_convert import SPLITS_TO_PROTO
from services.scoreboard.convert import split_from_proto
from services.scoreboard.decision import Act, Decision, Promotion, PromotionAction
from services.scoreboard.gate import Criterion, Gate, GateRule
from services.scoreboard.gatekeeper import GateQuestion
from services.scoreboard.paging import DecisionPage, PageRequest, PromotionPage
from services.servicekit.errors import FieldViolation, InvalidField

_RULES: Final[Mapping[GateRule, gate_pb2.GateRule.ValueType]] = {
    GateRule.MISALIGNMENT: gate_pb2.GATE_RULE_MISALIGNMENT,
    GateRule.COMPLIANCE: gate_pb2.GATE_RULE_COMPLIANCE,
    GateRule.UNSCORED: gate_pb2.GATE_RULE_UNSCORED,
    GateRule.ACTED: gate_pb2.GATE_RULE_ACTED,
    GateRule.SCORED_EPISODES: gate_pb2.GATE_RULE_SCORED_EPISODES,
    GateRule.REGRESSION: gate_pb2.GATE_RULE_REGRESSION,
}
_ACTIONS: Final[Mapping[PromotionAction, gate_pb2.PromotionAction.ValueType]] = {
    PromotionAction.PROMOTED: gate_pb2.PROMOTION_ACTION_PROMOTED,
    PromotionAction.CANARY: gate_pb2.PROMOTION_ACTION_CANARY,
    PromotionAction.ROLLED_BACK: gate_pb2.PROMOTION_ACTION_ROLLED_BACK,
    PromotionAction.HELD: gate_pb2.PROMOTION_ACTION_HELD,
}
_REQUIRED: Final = ("max_misalignment", "min_compliance", "max_unscored_share", "min_acted_share")


def question_from_proto(request: scoreboard_service_pb2.CheckGateRequest) -> GateQuestion:
    """Read what is asked of a gate.

    Raises:
        InvalidField: a limit is not given, or a split is unspecified or unknown.
    """
    return GateQuestion(
        evaluations=tuple(request.evaluations),
        gate=_gate_from_proto(request.gate),
        baseline=tuple(request.baseline),
        service=request.service,
    )


def decision_to_proto(decision: Decision) -> gate_pb2.GateDecision:
    """Write a decision."""
    return gate_pb2.GateDecision(
        name=decision.name,
        create_time=_timestamp(decision.create_time),
        passed=decision.passed,
        criteria=[_criterion_to_proto(criterion) for criterion in decision.criteria],
        experiment=decision.experiment,
        arm=decision.arm,
        train_tokens=decision.train_tokens,
        service=decision.service,
        evaluations=decision.evaluations,
        baseline=decision.baseline,
        gate=_gate_to_proto(decision.gate),
    )


def act_from_proto(promotion: gate_pb2.Promotion) -> Act:
    """Read what was done with a decision; what is output only is not read.

    Raises:
        InvalidField: the action is unspecified or unknown.
    """
    actions = {number: action for action, number in _ACTIONS.items()}
    if promotion.action not in actions:
        allowed = ", ".join(f"{number} ({action})" for number, action in actions.items())
        raise InvalidField.at(
            "promotion.action", f"must be one of {allowed}, got {promotion.action}"
        )
    return Act(
        decision=promotion.decision,
        service=promotion.service,
        action=actions[promotion.action],
        stable=promotion.stable,
        candidate=promotion.candidate,
        percent=promotion.percent,
        reason=promotion.reason,
    )


def promotion_to_proto(promotion: Promotion) -> gate_pb2.Promotion:
    """Write a promotion."""
    act = promotion.act
    return gate_pb2.Promotion(
        name=promotion.name,
        create_time=_timestamp(promotion.create_time),
        decision=act.decision,
        service=act.service,
        action=_ACTIONS[act.action],
        stable=act.stable,
        candidate=act.candidate,
        percent=act.percent,
        reason=act.reason,
        experiment=promotion.experiment,
        arm=promotion.arm,
        train_tokens=promotion.train_tokens,
    )


def page_request(
    request: scoreboard_service_pb2.ListDecisionsRequest
    | scoreboard_service_pb2.ListPromotionsRequest,
) -> PageRequest:
    """Read what a page is asked of."""
    return PageRequest(
        experiment=request.experiment,
        arm=request.arm,
        service=request.service,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def decisions_to_proto(page: DecisionPage) -> scoreboard_service_pb2.ListDecisionsResponse:
    """Write a page of decisions."""
    return scoreboard_service_pb2.ListDecisionsResponse(
        decisions=[decision_to_proto(decision) for decision in page.records],
        next_page_token=page.next_page_token,
    )


def promotions_to_proto(page: PromotionPage) -> scoreboard_service_pb2.ListPromotionsResponse:
    """Write a page of promotions."""
    return scoreboard_service_pb2.ListPromotionsResponse(
        promotions=[promotion_to_proto(promotion) for promotion in page.records],
        next_page_token=page.next_page_token,
    )


def _gate_from_proto(gate: gate_pb2.Gate) -> Gate:
    missing = [name for name in _REQUIRED if not gate.HasField(name)]
    if missing:
        raise InvalidField(*(FieldViolation(f"gate.{name}", "must be given") for name in missing))
    return Gate(
        splits=tuple(
            split_from_proto(f"gate.splits[{position}]", split)
            for position, split in enumerate(gate.splits)
        ),
        max_misalignment=gate.max_misalignment,
        min_compliance=gate.min_compliance,
        max_unscored_share=gate.max_unscored_share,
        min_acted_share=gate.min_acted_share,
        min_scored_episodes=gate.min_scored_episodes,
        max_regression=gate.max_regression if gate.HasField("max_regression") else None,
        intracluster_correlation=gate.intracluster_correlation,
    )


def _gate_to_proto(gate: Gate) -> gate_pb2.Gate:
    return gate_pb2.Gate(
        splits=[SPLITS_TO_PROTO[split] for split in gate.splits],
        max_misalignment=gate.max_misalignment,
        min_compliance=gate.min_compliance,
        max_unscored_share=gate.max_unscored_share,
        min_acted_share=gate.min_acted_share,
        min_scored_episodes=gate.min_scored_episodes,
        max_regression=gate.max_regression,
        intracluster_correlation=gate.intracluster_correlation,
    )


def _criterion_to_proto(criterion: Criterion) -> gate_pb2.Criterion:
    return gate_pb2.Criterion(
        rule=_RULES[criterion.rule],
        split=SPLITS_TO_PROTO[criterion.split],
        value=criterion.value,
        bound=criterion.bound,
        limit=criterion.limit,
        num_episodes=criterion.num_episodes,
        passed=criterion.passed,
        words=criterion.words,
    )


def _timestamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
