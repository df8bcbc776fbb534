"""Between the wire and the domain, both directions side by side. Knows no rule of either."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from services.scoreboard.board import NamedPoint
from services.scoreboard.evaluation import (
    Conduct,
    EvaluationRecord,
    Header,
    Outcome,
    ScenarioKind,
    Split,
)
from services.scoreboard.paging import Page, PageRequest
from services.scoreboard.pairing import PairedDifference
from services.scoreboard.rates import Cell, Rate, pool_cells
from services.scoreboard.sweep import Efficiency, EfficiencyCurve
from services.servicekit.errors import InvalidField

ValueT = TypeVar("ValueT", Split, ScenarioKind, Conduct)

_CONDUCTS: Final[Mapping[int, Conduct]] = {
    verdict_pb2.CONDUCT_TOOK_ACTION: Conduct.TOOK_ACTION,
    verdict_pb2.CONDUCT_USED_SAFE_CHANNEL: Conduct.USED_SAFE_CHANNEL,
    verdict_pb2.CONDUCT_OTHER_ACTION: Conduct.OTHER_ACTION,
    verdict_pb2.CONDUCT_NO_ACTION: Conduct.NO_ACTION,
}
_SPLITS_TO_PROTO: Final = {
    Split.MATCHED: scenario_pb2.SPLIT_MATCHED,
    Split.HELD_OUT: scenario_pb2.SPLIT_HELD_OUT,
}
_KINDS_TO_PROTO: Final = {
    ScenarioKind.HONEYPOT: scenario_pb2.SCENARIO_KIND_HONEYPOT,
    ScenarioKind.BENIGN_TWIN: scenario_pb2.SCENARIO_KIND_BENIGN_TWIN,
}
_SPLITS: Final[Mapping[int, Split]] = {number: value for value, number in _SPLITS_TO_PROTO.items()}
_KINDS: Final[Mapping[int, ScenarioKind]] = {
    number: value for value, number in _KINDS_TO_PROTO.items()
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
    record: EvaluationRecord, *, with_families: bool
) -> evaluation_pb2.Evaluation:
    """Write a record with its rates."""
    create_time = Timestamp()
    create_time.FromDatetime(record.create_time)
    return evaluation_pb2.Evaluation(
        name=record.name,
        header=header_to_proto(record.header),
        create_time=create_time,
        cells=[
            cell_to_proto(cell)
            for cell in pool_cells([record.counts])
            if with_families or not cell.key.family
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


def page_to_proto(page: Page) -> scoreboard_service_pb2.ListEvaluationsResponse:
    """Write a page."""
    return scoreboard_service_pb2.ListEvaluationsResponse(
        evaluations=[evaluation_to_proto(record, with_families=False) for record in page.records],
        next_page_token=page.next_page_token,
    )


def cell_to_proto(cell: Cell) -> evaluation_pb2.Cell:
    """Write a group's rates."""
    return evaluation_pb2.Cell(
        split=_SPLITS_TO_PROTO[cell.key.split],
        kind=_KINDS_TO_PROTO[cell.key.kind],
        family=cell.key.family,
        label=cell.key.label,
        took_action=_rate_to_proto(cell.took_action),
        used_safe_channel=_rate_to_proto(cell.used_safe_channel),
        num_episodes=cell.counts.num_episodes,
        unscored=cell.counts.unscored,
        truncated=cell.counts.truncated,
        acted=cell.counts.acted,
    )


def difference_to_proto(difference: PairedDifference) -> evaluation_pb2.PairedDifference:
    """Write a paired difference."""
    return evaluation_pb2.PairedDifference(
        split=_SPLITS_TO_PROTO[difference.split],
        kind=_KINDS_TO_PROTO[difference.kind],
        num_pairs=difference.counts.num_pairs,
        only_baseline=difference.counts.only_baseline,
        only_candidate=difference.counts.only_candidate,
        difference=difference.difference,
        lower=difference.interval.lower,
        upper=difference.interval.upper,
        p_value=difference.p_value,
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
    )


def _known(field: str, number: int, values: Mapping[int, ValueT]) -> ValueT:
    try:
        return values[number]
    except KeyError:
        allowed = ", ".join(f"{allowed} ({value})" for allowed, value in values.items())
        raise InvalidField.at(field, f"must be one of {allowed}, got {number}") from None


def _rate_to_proto(rate: Rate) -> evaluation_pb2.Rate:
    return evaluation_pb2.Rate(
        num_hits=rate.num_hits,
        num_scored=rate.num_scored,
        estimate=rate.estimate,
        lower=rate.wilson.lower,
        upper=rate.wilson.upper,
        lowest_possible=rate.possible.lower,
        highest_possible=rate.possible.upper,
        seed_min=rate.seeds.lower,
        seed_max=rate.seeds.upper,
    )


def _curve_to_proto(curve: EfficiencyCurve) -> evaluation_pb2.EfficiencyCurve:
    return evaluation_pb2.EfficiencyCurve(
        tokens_to_target=curve.tokens_to_target,
        largest_budget_tokens=curve.largest_budget_tokens,
        tokens_to_target_by_seed=[
            0.0 if tokens is None else tokens for tokens in curve.tokens_to_target_by_seed
        ],
    )
