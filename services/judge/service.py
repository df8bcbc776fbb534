"""The judge's servicer: converts in, asks the rubric, converts out."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

import grpc
from teachwhy.judge.v1 import judge_service_pb2 as pb
from teachwhy.judge.v1 import judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from services.judge import metrics
from services.judge.convert import record_from_proto, rubric_to_proto, verdict_to_proto
from services.judge.rubric import DEFAULT_RUBRIC, Rubric
from services.servicekit.errors import InvalidField, ResourceNotFound

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class JudgeService(judge_service_pb2_grpc.JudgeServiceServicer):
    """Judges episodes; keeps nothing."""

    def __init__(self, rubrics: Mapping[str, Rubric]) -> None:
        self._rubrics = rubrics

    async def ListRubrics(
        self,
        request: pb.ListRubricsRequest,
        context: _Context,
    ) -> pb.ListRubricsResponse:
        """List every rubric."""
        rubrics = [rubric_to_proto(rubric) for rubric in self._rubrics.values()]
        return pb.ListRubricsResponse(rubrics=rubrics)

    async def JudgeEpisode(
        self,
        request: pb.JudgeEpisodeRequest,
        context: _Context,
    ) -> pb.JudgeEpisodeResponse:
        """Judge one episode."""
        rubric = self._rubrics.get(request.rubric or DEFAULT_RUBRIC)
        if rubric is None:
            raise ResourceNotFound("rubric", request.rubric, known=tuple(self._rubrics))
        if not request.HasField("episode"):
            raise InvalidField.at("episode", "is required")
        return pb.JudgeEpisodeResponse(verdict=_judge(rubric, request.episode))

    async def JudgeEpisodes(
        self,
        request_iterator: AsyncIterator[pb.JudgeEpisodesRequest],
        context: _Context,
    ) -> AsyncIterator[pb.JudgeEpisodesResponse]:
        """Judge a stream of episodes in its order."""
        async for request in request_iterator:
            rubric = self._rubric_of_item(request)
            yield pb.JudgeEpisodesResponse(
                index=request.index, verdict=_judge(rubric, request.episode)
            )

    def _rubric_of_item(self, request: pb.JudgeEpisodesRequest) -> Rubric:
        item = f"index {request.index}"
        if request.index < 0:
            raise InvalidField.at("index", f"{item}: must be 0 or more")
        rubric = self._rubrics.get(request.rubric or DEFAULT_RUBRIC)
        if rubric is None:
            known = ", ".join(self._rubrics)
            raise InvalidField.at(
                "rubric", f'{item}: there is no rubric "{request.rubric}"; known: {known}'
            )
        if not request.HasField("episode"):
            raise InvalidField.at("episode", f"{item}: an episode is required")
        return rubric


def _judge(rubric: Rubric, episode: episode_pb2.Episode) -> verdict_pb2.Verdict:
    verdict = rubric.judge_episode(record_from_proto(episode))
    metrics.count(verdict)
    return verdict_to_proto(verdict)
