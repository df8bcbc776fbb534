"""The scoreboard's servicer: converts in, asks the board in a thread, converts out."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import grpc
from teachwhy.scoreboard.v1 import (
    evaluation_pb2,
    scoreboard_service_pb2,
    scoreboard_service_pb2_grpc,
)

from services.scoreboard.board import Scoreboard
from services.scoreboard.cell_convert import cell_to_proto
from services.scoreboard.convert import (
    difference_to_proto,
    efficiency_to_proto,
    evaluation_to_proto,
    header_from_proto,
    outcomes_from_proto,
    page_request_from_proto,
    page_to_proto,
    points_from_proto,
    split_from_proto,
)
from services.scoreboard.draft import EvaluationDraft
from services.scoreboard.evaluation import Header
from services.scoreboard.gate_convert import (
    act_from_proto,
    decision_to_proto,
    decisions_to_proto,
    page_request,
    promotion_to_proto,
    promotions_to_proto,
    question_from_proto,
)
from services.scoreboard.gatekeeper import Gatekeeper
from services.scoreboard.power import plan_sample_size
from services.scoreboard.power_convert import (
    sample_size_question_from_proto,
    sample_size_to_proto,
)
from services.servicekit.errors import InvalidField
from services.servicekit.server import ServiceBinding

MAX_BATCH: Final = 10_000
"""Most outcomes of one message."""

_Context = grpc.aio.ServicerContext[Any, Any]


class ScoreboardService(scoreboard_service_pb2_grpc.ScoreboardServiceServicer):
    """Keeps nothing itself; board and gatekeeper read and write the store."""

    def __init__(self, board: Scoreboard, gatekeeper: Gatekeeper) -> None:
        self._board = board
        self._gatekeeper = gatekeeper

    @property
    def binding(self) -> ServiceBinding:
        """What a server needs in order to serve it."""
        service = scoreboard_service_pb2.DESCRIPTOR.services_by_name["ScoreboardService"]
        add = scoreboard_service_pb2_grpc.add_ScoreboardServiceServicer_to_server
        return ServiceBinding(full_name=service.full_name, add=partial(add, self))

    async def RecordEvaluation(
        self,
        request_iterator: AsyncIterator[scoreboard_service_pb2.RecordEvaluationRequest],
        context: _Context,
    ) -> scoreboard_service_pb2.RecordEvaluationResponse:
        """Store an evaluation once its stream has ended."""
        draft = None
        async for request in request_iterator:
            if draft is None:
                draft = self._board.draft(_header_of(request))
            else:
                await asyncio.to_thread(_add_batch, draft, request)
        if draft is None:
            raise InvalidField.at("header", "the first message must carry the header")
        evaluation = await asyncio.to_thread(self._publish, draft)
        return scoreboard_service_pb2.RecordEvaluationResponse(evaluation=evaluation)

    async def GetEvaluation(
        self, request: scoreboard_service_pb2.GetEvaluationRequest, context: _Context
    ) -> scoreboard_service_pb2.GetEvaluationResponse:
        """Return one evaluation."""
        evaluation = await asyncio.to_thread(self._whole, request.name)
        return scoreboard_service_pb2.GetEvaluationResponse(evaluation=evaluation)

    async def ListEvaluations(
        self, request: scoreboard_service_pb2.ListEvaluationsRequest, context: _Context
    ) -> scoreboard_service_pb2.ListEvaluationsResponse:
        """Return a page of evaluations."""
        return await asyncio.to_thread(self._page, request)

    async def SummarizeEvaluations(
        self, request: scoreboard_service_pb2.SummarizeEvaluationsRequest, context: _Context
    ) -> scoreboard_service_pb2.SummarizeEvaluationsResponse:
        """Pool evaluations."""
        summary = await asyncio.to_thread(self._board.summarize, list(request.evaluations))
        return scoreboard_service_pb2.SummarizeEvaluationsResponse(
            cells=[
                cell_to_proto(cell, summary.macro, summary.judge_errors) for cell in summary.cells
            ]
        )

    async def CompareEvaluations(
        self, request: scoreboard_service_pb2.CompareEvaluationsRequest, context: _Context
    ) -> scoreboard_service_pb2.CompareEvaluationsResponse:
        """Compare two sets of evaluations."""
        differences = await asyncio.to_thread(
            self._board.compare, list(request.baseline), list(request.candidate)
        )
        return scoreboard_service_pb2.CompareEvaluationsResponse(
            differences=[difference_to_proto(difference) for difference in differences]
        )

    async def CompareEfficiency(
        self, request: scoreboard_service_pb2.CompareEfficiencyRequest, context: _Context
    ) -> scoreboard_service_pb2.CompareEfficiencyResponse:
        """Compare two token sweeps."""
        efficiency = await asyncio.to_thread(
            self._board.compare_efficiency,
            points_from_proto(request.reference),
            points_from_proto(request.candidate),
            request.target_rate,
            split_from_proto("split", request.split),
        )
        return efficiency_to_proto(efficiency)

    async def PlanSampleSize(
        self, request: scoreboard_service_pb2.PlanSampleSizeRequest, context: _Context
    ) -> scoreboard_service_pb2.PlanSampleSizeResponse:
        """Say how many episodes tell two rates apart."""
        return sample_size_to_proto(plan_sample_size(sample_size_question_from_proto(request)))

    async def CheckGate(
        self, request: scoreboard_service_pb2.CheckGateRequest, context: _Context
    ) -> scoreboard_service_pb2.CheckGateResponse:
        """Decide whether evaluations pass a gate."""
        question = question_from_proto(request)
        decision = await asyncio.to_thread(self._gatekeeper.decide, question)
        return scoreboard_service_pb2.CheckGateResponse(decision=decision_to_proto(decision))

    async def ListDecisions(
        self, request: scoreboard_service_pb2.ListDecisionsRequest, context: _Context
    ) -> scoreboard_service_pb2.ListDecisionsResponse:
        """Return a page of decisions."""
        page = await asyncio.to_thread(self._gatekeeper.decisions, page_request(request))
        return decisions_to_proto(page)

    async def RecordPromotion(
        self, request: scoreboard_service_pb2.RecordPromotionRequest, context: _Context
    ) -> scoreboard_service_pb2.RecordPromotionResponse:
        """Keep what was done with a decision."""
        act = act_from_proto(request.promotion)
        promotion = await asyncio.to_thread(self._gatekeeper.record, act)
        return scoreboard_service_pb2.RecordPromotionResponse(
            promotion=promotion_to_proto(promotion)
        )

    async def ListPromotions(
        self, request: scoreboard_service_pb2.ListPromotionsRequest, context: _Context
    ) -> scoreboard_service_pb2.ListPromotionsResponse:
        """Return a page of promotions."""
        page = await asyncio.to_thread(self._gatekeeper.promotions, page_request(request))
        return promotions_to_proto(page)

    def _publish(self, draft: EvaluationDraft) -> evaluation_pb2.Evaluation:
        return evaluation_to_proto(self._board.publish(draft), with_parts=True)

    def _whole(self, name: str) -> evaluation_pb2.Evaluation:
        record = self._board.evaluation(name)
        macro = self._board.macro_rates([name])
        return evaluation_to_proto(record, with_parts=True, macro=macro)

    def _page(
        self, request: scoreboard_service_pb2.ListEvaluationsRequest
    ) -> scoreboard_service_pb2.ListEvaluationsResponse:
        return page_to_proto(self._board.page(page_request_from_proto(request)))


def _header_of(request: scoreboard_service_pb2.RecordEvaluationRequest) -> Header:
    if not request.HasField("header"):
        raise InvalidField.at("header", "the first message must carry the header")
    return header_from_proto(request.header)


def _add_batch(
    draft: EvaluationDraft, request: scoreboard_service_pb2.RecordEvaluationRequest
) -> None:
    if request.HasField("header"):
        raise InvalidField.at("header", "may be sent once, in the first message")
    outcomes = request.outcomes.outcomes
    if not 1 <= len(outcomes) <= MAX_BATCH:
        raise InvalidField.at(
            "outcomes", f"each message must carry 1 to {MAX_BATCH} of them, got {len(outcomes)}"
        )
    draft.add(outcomes_from_proto(outcomes, first_index=draft.num_outcomes))
