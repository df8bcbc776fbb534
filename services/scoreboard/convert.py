"""Between the wire and the domain, both directions side by side. Knows no rule of either."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from services.scoreboard.board import NamedPoint
from services.scoreboard.cell_convert import KINDS_TO_PROTO, SPLITS_TO_PROTO, cell_to_proto
from services.scoreboard.evaluation import (
    BaitGrade,
    CellKey,
    Conduct,
    EvaluationRecord,
    Header,
    JudgeErrors,
    Outcome,
    ScenarioKind,
    Split,
)
from services.scoreboard.macro import MacroRate
from services.scoreboard.paging import Page, PageRequest
from services.scoreboard.pairing import PairedDifference
from services.scoreboard.rates import pool_cells
from services.scoreboard.sweep import Efficiency, EfficiencyCurve
from services.servicekit.errors import InvalidField

ValueT = TypeVar("ValueT", Split, ScenarioKind, Conduct, BaitGrade)

_CONDUCTS: Final[Mapping[int, Conduct]] = {
    verdict_pb2.CONDUCT_TOOK_ACTION: Conduct.TOOK_ACTION,
    verdict_pb2.CONDUCT_USED_SAFE_CHANNEL: Conduct.USED_SAFE_CHANNEL,
    verdict_pb2.CONDUCT_OTHER_ACTION: Conduct.OTHER_ACTION,
    verdict_pb2.CONDUCT_NO_ACTION: Conduct.NO_ACTION,
}
_GRADES: Final[Mapping[int, BaitGrade]] = {
    verdict_pb2.BAIT_GRADE_NO: BaitGrade.NO,
    verdict_pb2.BAIT_GRADE_CONSIDERED: BaitGrade.CONSIDERED,
    verdict_pb2.BAIT_GRADE_ATTEMPTED: BaitGrade.ATTEMPTED,
    verdict_pb2.BAIT_GRADE_EXECUTED: BaitGrade.EXECUTED,
}
_SPLITS: Final[Mapping[int, Split]] = {number: value for value, number in SPLITS_TO_PROTO.items()}
_KINDS: Final[Mapping[int, ScenarioKind]] = {
    number: value for value, number in KINDS_TO_PROTO.items()
}


def split_from_proto(field: str, number: int) -> Split:
    """Read a split.

    Raises:
        InvalidField: it is unspecified or unknown.
    """
    return _known(field, number, _SPLITS)


def header_from_proto(header: evaluation_pb2.EvaluationHeader) -> Header:
    """Read a header; whether it keeps the rules is the draft's to say."""
    return Header(
        experiment=header.experiment,
        arm=header.arm,
        model=header.model,
        seed=header.seed,
        train_tokens=header.train_tokens,
        digest=header.digest,
        rubric=header.rubric,
        opinion_rubric=header.opinion_rubric,
        judge_errors=_errors_from_proto(header.judge_errors)
        if header.HasField("judge_errors")
        else None,
    )


def header_to_proto(header: Header) -> evaluation_pb2.EvaluationHeader:
    """Write a header."""
    return evaluation_pb2.EvaluationHeader(
        experiment=header.experiment,
        arm=header.arm,
        model=header.model,
        seed=header.seed,
        train_tokens=header.train_tokens,
        digest=header.digest,
        rubric=header.rubric,
        opinion_rubric=header.opinion_rubric,
        judge_errors=None if header.judge_errors is None else _errors_to_proto(header.judge_errors),
    )


def outcomes_from_proto(
    outcomes: Sequence[evaluation_pb2.Outcome], *, first_index: int
) -> list[Outcome]:
    """Read a batch whose first outcome has this index in the whole evaluation.

    Raises:
        InvalidField: a split, kind or conduct is unknown.
    """
    return [
        _outcome_from_proto(f"outcomes[{index}]", outcome)
        for index, outcome in enumerate(outcomes, start=first_index)
    ]


def evaluation_to_proto(
    record: EvaluationRecord,
    *,
    with_parts: bool,
    macro: Mapping[CellKey, MacroRate] | None = None,
) -> evaluation_pb2.Evaluation:
    """Write a record with its rates, those of families and suites where asked for."""
    create_time = Timestamp()
    create_time.FromDatetime(record.create_time)
    return evaluation_pb2.Evaluation(
        name=record.name,
        header=header_to_proto(record.header),
        create_time=create_time,
        cells=[
            cell_to_proto(cell, macro, record.header.judge_errors)
            for cell in pool_cells([record.counts])
            if with_parts or not cell.key.is_fine
        ],
        num_outcomes=record.num_outcomes,
    )


def page_request_from_proto(
    request: scoreboard_service_pb2.ListEvaluationsRequest,
) -> PageRequest:
    """Read what a page is asked of."""
    return PageRequest(
        experiment=request.experiment,
        arm=request.arm,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def page_to_proto(
    page: Page[EvaluationRecord],
) -> scoreboard_service_pb2.ListEvaluationsResponse:
    """Write a page."""
    return scoreboard_service_pb2.ListEvaluationsResponse(
        evaluations=[evaluation_to_proto(record, with_parts=False) for record in page.records],
        next_page_token=page.next_page_token,
    )


def difference_to_proto(difference: PairedDifference) -> evaluation_pb2.PairedDifference:
    """Write a paired difference."""
    return evaluation_pb2.PairedDifference(
        split=SPLITS_TO_PROTO[difference.split],
        kind=KINDS_TO_PROTO[difference.kind],
        num_pairs=difference.counts.num_pairs,
        only_baseline=difference.counts.only_baseline,
        only_candidate=difference.counts.only_candidate,
        difference=difference.difference,
        lower=difference.interval.lower,
        upper=difference.interval.upper,
        p_value=difference.p_value,
        family=difference.family,
        q_value=difference.q_value,
        num_clusters=difference.num_clusters,
    )


def points_from_proto(points: Sequence[evaluation_pb2.EfficiencyPoint]) -> list[NamedPoint]:
    """Read a token sweep."""
    return [
        NamedPoint(train_tokens=point.train_tokens, evaluations=tuple(point.evaluations))
        for point in points
    ]


def efficiency_to_proto(
    efficiency: Efficiency,
) -> scoreboard_service_pb2.CompareEfficiencyResponse:
    """Write both curves and their ratio; what is None stays unset."""
    return scoreboard_service_pb2.CompareEfficiencyResponse(
        reference=_curve_to_proto(efficiency.reference),
        candidate=_curve_to_proto(efficiency.candidate),
        ratio=efficiency.ratio,
        ratio_lower=efficiency.ratio_lower,
        ratio_upper=efficiency.ratio_upper,
    )


def _outcome_from_proto(path: str, outcome: evaluation_pb2.Outcome) -> Outcome:
    is_scored = outcome.conduct != verdict_pb2.CONDUCT_UNSPECIFIED
    return Outcome(
        scenario_id=outcome.scenario_id,
        family=outcome.family,
        split=_known(f"{path}.split", outcome.split, _SPLITS),
        kind=_known(f"{path}.kind", outcome.kind, _KINDS),
        conduct=_known(f"{path}.conduct", outcome.conduct, _CONDUCTS) if is_scored else None,
        truncated=outcome.truncated,
        acted=outcome.acted,
        labels=tuple(outcome.labels),
        cluster=outcome.cluster,
        has_panel=outcome.has_panel,
        opinion=_known(f"{path}.opinion", outcome.opinion, _GRADES) if outcome.opinion else None,
        layers_disagree=outcome.layers_disagree,
        suite=outcome.suite,
        evaluation_awareness=outcome.evaluation_awareness
        if outcome.HasField("evaluation_awareness")
        else None,
    )


def _known(field: str, number: int, values: Mapping[int, ValueT]) -> ValueT:
    try:
        return values[number]
    except KeyError:
        allowed = ", ".join(f"{allowed} ({value})" for allowed, value in values.items())
        raise InvalidField.at(field, f"must be one of {allowed}, got {number}") from None


def _errors_from_proto(errors: evaluation_pb2.JudgeErrors) -> JudgeErrors:
    return JudgeErrors(
        calibration_digest=errors.calibration_digest,
        num_negatives=errors.num_negatives,
        num_false_positives=errors.num_false_positives,
        num_positives=errors.num_positives,
        num_false_negatives=errors.num_false_negatives,
    )


def _errors_to_proto(errors: JudgeErrors) -> evaluation_pb2.JudgeErrors:
    return evaluation_pb2.JudgeErrors(
        calibration_digest=errors.calibration_digest,
        num_negatives=errors.num_negatives,
        num_false_positives=errors.num_false_positives,
        num_positives=errors.num_positives,
        num_false_negatives=errors.num_false_negatives,
    )


def _curve_to_proto(curve: EfficiencyCurve) -> evaluation_pb2.EfficiencyCurve:
    return evaluation_pb2.EfficiencyCurve(
        tokens_to_target=curve.tokens_to_target,
        largest_budget_tokens=curve.largest_budget_tokens,
        tokens_to_target_by_seed=[
            0.0 if tokens is None else tokens for tokens in curve.tokens_to_target_by_seed
        ],
    )
