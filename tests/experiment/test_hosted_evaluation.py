"""A hosted model is played once, stops when the rule says so, and a killed run decides the same."""

# ruff: noqa: N802 - methods are named by the contract

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, rollout_service_pb2_grpc

from pipelines.experiment.evaluate import evaluate_model, read_summary
from pipelines.experiment.play import ModelNotEvaluated
from pipelines.experiment.spec_evaluation import Evaluation, HostedModel
from pipelines.experiment.steps import EvaluationStep
from pipelines.outputs import Output
from services.servicekit.storage.directory import DirectoryStore
from tests.experiment.fake_rooms import Stop, serving
from tests.experiment.workplace_episodes import call, episode, scenario

SUITES = ["workplace-near", "workplace-held-out"]
ROUND = 100
PLANNED = 1000
ENOUGH = 600
"""Scorable episodes of the first suite at which the fake room finds the interval narrow enough."""
BATCH = 7

Response = rollout_service_pb2.RunEpisodesResponse
STEP = EvaluationStep(
    arm="agent",
    seed=3,
    tokens=0,
    subject=HostedModel(name="agent", endpoint="lab", model="model-name"),
    episodes=PLANNED,
    digest="d" * 64,
)


def played(index: int) -> episode_pb2.Episode:
    suite = SUITES[index % 10 > 6]
    baited = [call("release_hold", marks=[episode_pb2.MARK_BAIT])] if index % 3 == 0 else []
    failed = index % 50 == 0
    return episode(
        *baited,
        index=index,
        of=scenario(f"{suite}/hold-{index % 5}/{index}"),
        state=episode_pb2.EPISODE_STATE_MODEL_FAILED
        if failed
        else episode_pb2.EPISODE_STATE_COMPLETED,
    )


class FakeRollout(rollout_service_pb2_grpc.RolloutServiceServicer):
    """Plays whole rounds until it has enough; each fault happens once."""

    def __init__(self) -> None:
        self.requests: list[rollout_service_pb2.RunEpisodesRequest] = []
        self.sent: list[int] = []
        self.stop_before: dict[int, Stop] = {}
        self.leaves_out: set[int] = set()

    ListSuites = ListScenarios = RunEpisode = GetContaminationFilter = None  # type: ignore[assignment]

    async def RunEpisodes(self, request: Any, context: Any) -> AsyncIterator[Response]:
        self.requests.append(request)
        tallies = {each.suite: each for each in request.stop.tallies}
        scorable = tallies[SUITES[0]].num_scorable if tallies else 0
        batch: list[episode_pb2.Episode] = []
        index = request.start_index
        while index < (request.end_index or PLANNED):
            if request.HasField("stop") and index % ROUND == 0 and scorable >= ENOUGH:
                yield Response(episodes=batch, total_episodes=PLANNED, stopped=True)
                return
            if fault := self.stop_before.pop(index, None):
                await fault.abort(context)
            each = played(index)
            self.sent.append(index)
            if index not in self.leaves_out:
                batch.append(each)
            is_scorable = each.state != episode_pb2.EPISODE_STATE_MODEL_FAILED
            scorable += each.scenario.suite == SUITES[0] and is_scorable
            if len(batch) == BATCH:
                yield Response(episodes=batch, total_episodes=PLANNED)
                batch = []
            index += 1
        if batch:
            yield Response(episodes=batch, total_episodes=PLANNED)


class FakeJudge(judge_service_pb2_grpc.JudgeServiceServicer):
    """Scores what was not failed."""

    ListRubrics = JudgeEpisode = GradeTexts = CalibrateJudge = None  # type: ignore[assignment]

    async def JudgeEpisodes(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            response = judge_service_pb2.JudgeEpisodesResponse()
            for each in request.episodes:
                found = response.verdicts.add(index=each.index)
                found.verdict.episode_id = each.episode.id
                found.verdict.rubric_revision = "r"
                if each.episode.state == episode_pb2.EPISODE_STATE_MODEL_FAILED:
                    found.verdict.error.detail = "failed"
                else:
                    found.verdict.score.conduct = verdict_pb2.CONDUCT_NO_ACTION
            yield response


class NoHost:
    """A model that somebody hosts is never loaded here."""

    async def load(self, checkpoint: str) -> None:
        raise AssertionError(checkpoint)

    unload = load


class Killed(Exception):
    """What a kill is to a coroutine: nothing after it happens."""


def killed_at(count: int) -> Callable[[int], None]:
    def advance(done: int) -> None:
        if done >= count:
            raise Killed

    return advance


async def evaluate(
    rollout: FakeRollout,
    folder: Path,
    *,
    width: float | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Output:
    output = Output(store=DirectoryStore(folder), prefix="episodes/d")
    settings = Evaluation(suites=SUITES, stop_at_interval_width=width)
    async with serving(rollout=rollout, judge=FakeJudge()) as rooms:
        await evaluate_model(
            STEP, output, settings=settings, rooms=rooms, host=NoHost(), advance=advance
        )
    return output


def contents(output: Output) -> dict[str, bytes]:
    return {
        name: output.store.get(output.key(name)) for name in [*output.file_names(), "manifest.json"]
    }


async def test_without_a_rule_every_planned_episode_is_played(tmp_path: Path) -> None:
    rollout = FakeRollout()
    output = await evaluate(rollout, tmp_path)

    assert rollout.sent == list(range(PLANNED))
    assert not rollout.requests[0].HasField("stop")
    assert output.manifest().counts == {
        "planned": PLANNED,
        "episodes": PLANNED,
        "stopped": 0,
        "unscored": 20,
    }
    assert output.manifest().inputs == {}


async def test_the_target_is_the_model_at_its_endpoint(tmp_path: Path) -> None:
    rollout = FakeRollout()
    await evaluate(rollout, tmp_path)

    target = rollout.requests[0].spec.target
    assert (target.endpoint, target.model) == ("lab", "model-name")


async def test_an_evaluation_that_stopped_says_what_was_planned_and_played(tmp_path: Path) -> None:
    output = await evaluate(FakeRollout(), tmp_path, width=0.1)

    summary = read_summary(output)
    assert (summary.planned, summary.played, summary.stopped) == (PLANNED, 900, True)
    assert summary.model_revisions == {"model-name-2026-11 fp_1": 900}
    assert output.manifest().counts["episodes"] == 900
    assert output.manifest().counts["stopped"] == 1


@pytest.mark.parametrize("moment", [1, 256, 257, 700, 899, 900])
async def test_a_killed_run_stops_where_one_that_was_not_did(tmp_path: Path, moment: int) -> None:
    whole = await evaluate(FakeRollout(), tmp_path / "whole", width=0.1)
    rollout = FakeRollout()
    with pytest.raises(Killed):
        await evaluate(rollout, tmp_path / "cut", width=0.1, advance=killed_at(moment))
    cut = await evaluate(rollout, tmp_path / "cut", width=0.1)

    assert contents(cut) == contents(whole)
    tallies = rollout.requests[-1].stop.tallies
    assert sum(each.num_episodes for each in tallies) == rollout.requests[-1].start_index
    assert sum(each.num_scorable for each in tallies) == sum(
        index % 50 != 0 for index in range(rollout.requests[-1].start_index)
    )


async def test_a_run_that_was_killed_before_it_was_judged_plays_nothing_anew(
    tmp_path: Path,
) -> None:
    whole = await evaluate(FakeRollout(), tmp_path, width=0.1)
    expected = contents(whole)
    for name in ("manifest.json", "evaluation.json", "verdicts-00000.parquet"):
        whole.store.delete(whole.key(name))
    rollout = FakeRollout()
    again = await evaluate(rollout, tmp_path, width=0.1)

    assert rollout.sent == []
    assert contents(again) == expected


async def test_a_room_that_was_away_sends_no_episode_twice(tmp_path: Path) -> None:
    rollout = FakeRollout()
    rollout.stop_before = {
        each: Stop(grpc.StatusCode.UNAVAILABLE, "", "restarting") for each in (20, 300, 301)
    }
    output = await evaluate(rollout, tmp_path, width=0.1)

    assert read_summary(output).played == 900
    # A batch that was not sent is played again, and no more than that.
    assert len(rollout.sent) < 900 + 3 * BATCH
    assert [request.start_index for request in rollout.requests] == [0, 14, 294, 301]


async def test_a_host_that_is_away_is_said_with_the_name_of_the_model(tmp_path: Path) -> None:
    rollout = FakeRollout()
    fault = Stop(
        grpc.StatusCode.FAILED_PRECONDITION, "MODEL_REJECTED_REQUEST", "lab: no such model"
    )
    rollout.stop_before = {5: fault}
    with pytest.raises(ModelNotEvaluated, match=r"models: agent: lab: no such model\n.*goes on"):
        await evaluate(rollout, tmp_path)


async def test_an_episode_that_is_missing_is_no_evaluation(tmp_path: Path) -> None:
    rollout = FakeRollout()
    rollout.leaves_out = {11}
    with pytest.raises(RuntimeError, match="sent episode 12, due was 11"):
        await evaluate(rollout, tmp_path)
