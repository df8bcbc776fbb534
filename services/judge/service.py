"""The judge's servicer: converts in, asks the rubric, converts out."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from teachwhy.judge.v1 import judge_service_pb2 as pb
from teachwhy.judge.v1 import judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from services.judge import metrics
from services.judge.convert import record_from_proto, rubric_to_proto, verdict_to_proto
from services.judge.grading.convert import GradeRequestReader, grade_to_proto
from services.judge.grading.grader import TextGrader
from services.judge.grading.text_rubric import TextRubric
from services.judge.ordered import in_order
from services.judge.rubric import DEFAULT_RUBRIC, Rubric
from services.servicekit.errors import InvalidField, ResourceNotFound

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class JudgeService(judge_service_pb2_grpc.JudgeServiceServicer):
    """Judges episodes and grades texts; keeps nothing."""

    def __init__(
        self,
        rubrics: Mapping[str, Rubric],
        text_rubrics: Mapping[str, TextRubric],
        grader: TextGrader,
        read: GradeRequestReader,
    ) -> None:
        self._rubrics = rubrics
        self._text_rubrics = text_rubrics
        self._grader = grader
        self._read = read

    async def ListRubrics(
        self,
        request: pb.ListRubricsRequest,
        context: _Context,
    ) -> pb.ListRubricsResponse:
        """List every rubric, for episodes and for texts."""
        rubrics: dict[str, Rubric | TextRubric] = {**self._rubrics, **self._text_rubrics}
        ordered = [rubric_to_proto(rubrics[name]) for name in sorted(rubrics)]
        return pb.ListRubricsResponse(rubrics=ordered)

    async def JudgeEpisode(
        self,
        request: pb.JudgeEpisodeRequest,
        context: _Context,
    ) -> pb.JudgeEpisodeResponse:
        """Judge one episode."""
        name = request.rubric or DEFAULT_RUBRIC
        if name in self._text_rubrics:
            raise InvalidField.at("rubric", self._is_for_texts(name))
        rubric = self._rubrics.get(name)
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

    async def GradeTexts(
        self,
        request_iterator: AsyncIterator[pb.GradeTextsRequest],
        context: _Context,
    ) -> AsyncIterator[pb.GradeTextsResponse]:
        """Grade a stream of texts in its order, many at a time."""
        grading = in_order(request_iterator, self._grade, width=self._grader.max_concurrency)
        # Closed here and now, so that a cancelled call stops its model calls at once.
        async with aclosing(grading) as responses:
            async for response in responses:
                yield response

    async def _grade(self, request: pb.GradeTextsRequest) -> pb.GradeTextsResponse:
        grade = await self._grader.grade(*self._read.order(request))
        metrics.count_grade(grade)
        return pb.GradeTextsResponse(index=request.index, grade=grade_to_proto(grade))

    def _rubric_of_item(self, request: pb.JudgeEpisodesRequest) -> Rubric:
        item = f"index {request.index}"
        if request.index < 0:
            raise InvalidField.at("index", f"{item}: must be 0 or more")
        name = request.rubric or DEFAULT_RUBRIC
        if name in self._text_rubrics:
            raise InvalidField.at("rubric", f"{item}: {self._is_for_texts(name)}")
        rubric = self._rubrics.get(name)
        if rubric is None:
            known = ", ".join(self._rubrics)
            raise InvalidField.at(
                "rubric", f'{item}: there is no rubric "{request.rubric}"; known: {known}'
            )
        if not request.HasField("episode"):
            raise InvalidField.at("episode", f"{item}: an episode is required")
        return rubric

    def _is_for_texts(self, name: str) -> str:
        known = ", ".join(self._rubrics)
        return f'"{name}" grades texts, not episodes; rubrics for episodes: {known}'


def _judge(rubric: Rubric, episode: episode_pb2.Episode) -> verdict_pb2.Verdict:
    verdict = rubric.judge_episode(record_from_proto(episode))
    metrics.count(verdict)
    return verdict_to_proto(verdict)
