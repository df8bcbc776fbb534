"""An evaluation that the rooms cannot do is refused before anything is made."""

# ruff: noqa: N802 - methods are named by the contract

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from teachwhy.dataset.v1 import dataset_service_pb2_grpc
from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import rollout_service_pb2, rollout_service_pb2_grpc, scenario_pb2

from pipelines.experiment.revisions import ExperimentImpossible, LoadedExperiment, ask_revisions
from pipelines.experiment.rooms import RoomAddresses, Rooms
from pipelines.experiment.spec_evaluation import Evaluation
from tests.experiment.fake_rooms import FakeDatasetRoom, FakeRolloutRoom, Stop
from tests.experiment.language_experiment import experiment

KINDS = {
    "agentic-ledger": verdict_pb2.RUBRIC_KIND_EPISODES,
    "of-an-older-judge": verdict_pb2.RUBRIC_KIND_UNSPECIFIED,
    "story-motifs": verdict_pb2.RUBRIC_KIND_TEXTS,
    "agent-conduct": verdict_pb2.RUBRIC_KIND_OPINIONS,
}

MOST_DRAWS = 6


class _Judge(judge_service_pb2_grpc.JudgeServiceServicer):
    JudgeEpisode = JudgeEpisodes = CalibrateJudge = GradeTexts = None  # type: ignore[assignment]  # never called

    async def ListRubrics(self, request: Any, context: Any) -> Any:
        rubrics = [
            verdict_pb2.Rubric(name=name, revision=f"{name} 1", kind=kind)
            for name, kind in KINDS.items()
        ]
        return judge_service_pb2.ListRubricsResponse(rubrics=rubrics)


class _Rollout(FakeRolloutRoom):
    async def ListSuites(self, request: Any, context: Any) -> Any:
        return rollout_service_pb2.ListSuitesResponse(suites=[scenario_pb2.Suite(name="held-out")])

    async def ListScenarios(self, request: Any, context: Any) -> Any:
        if request.draws_per_scenario > MOST_DRAWS:
            fault = f"draws_per_scenario: there are {MOST_DRAWS}; give repetitions"
            await Stop(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fault).abort(context)
        return rollout_service_pb2.ListScenariosResponse()


@asynccontextmanager
async def _rooms() -> AsyncIterator[Rooms]:
    server = grpc.aio.server()
    dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(FakeDatasetRoom(), server)
    judge_service_pb2_grpc.add_JudgeServiceServicer_to_server(_Judge(), server)
    rollout_service_pb2_grpc.add_RolloutServiceServicer_to_server(
        _Rollout(),  # type: ignore[abstract]  # asked for nothing else
        server,
    )
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    addresses = RoomAddresses(dataset=address, rollout=address, judge=address, scoreboard=address)
    try:
        async with Rooms(addresses) as rooms:
            yield rooms
    finally:
        await server.stop(0)


def _evaluated_by(rubric: str, *, draws: int = 1) -> LoadedExperiment:
    evaluation = Evaluation(suites=["held-out"], rubric=rubric, draws_per_scenario=draws)
    return LoadedExperiment(experiment=experiment().model_copy(update={"evaluation": evaluation}))


@pytest.mark.parametrize("rubric", ["agentic-ledger", "of-an-older-judge"])
async def test_a_rubric_that_judges_episodes_gives_its_revision(rubric: str) -> None:
    async with _rooms() as rooms:
        revisions, _ = await ask_revisions(_evaluated_by(rubric), rooms, serving_revision="1")

    assert revisions.judges.rubric == f"{rubric} 1"


@pytest.mark.parametrize(
    ("rubric", "said"),
    [
        ("story-motifs", "'story-motifs' grades texts"),
        ("agent-conduct", "'agent-conduct' is asked of language models and gives no conduct"),
        ("nope", "no rubric is called 'nope'"),
    ],
)
async def test_any_other_rubric_is_refused_with_those_that_would_do(rubric: str, said: str) -> None:
    async with _rooms() as rooms:
        with pytest.raises(ExperimentImpossible) as refused:
            await ask_revisions(_evaluated_by(rubric), rooms, serving_revision="1")

    assert str(refused.value) == (
        f"evaluation.rubric: {said}; rubrics for episodes: agentic-ledger, of-an-older-judge"
    )


async def test_more_draws_than_there_are_is_refused_in_the_words_of_the_rollout_room() -> None:
    async with _rooms() as rooms:
        with pytest.raises(ExperimentImpossible) as refused:
            await ask_revisions(
                _evaluated_by("agentic-ledger", draws=7), rooms, serving_revision="1"
            )

    assert str(refused.value) == (
        "evaluation: suite held-out: draws_per_scenario: there are 6; give repetitions"
    )
