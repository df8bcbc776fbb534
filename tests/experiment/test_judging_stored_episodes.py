"""Stored episodes are judged in one stream; what is committed is never judged again."""

# ruff: noqa: N802 - methods are named by the contract

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest
from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from pipelines.experiment.judging import (
    EPISODES_AHEAD,
    EpisodesNotJudged,
    judge_stored,
    summarize,
    verdict_shards,
)
from pipelines.experiment.shards import EPISODES_PER_SHARD, encode_episodes, shard_name
from pipelines.experiment.spec_panel import Panel
from pipelines.outputs import Output
from services.servicekit.storage.directory import DirectoryStore
from tests.experiment.fake_rooms import Stop, serving
from tests.experiment.workplace_episodes import episode, scenario

SHARDS = 3
LAST = 10
"""Episodes of the last shard."""
COUNT = EPISODES_PER_SHARD * (SHARDS - 1) + LAST
PANEL = Panel.model_validate(
    {"members": [{"endpoint": "lab", "model": f"judge-{n}"} for n in (1, 2)], "samples": 2}
)


class Killed(Exception):
    """What a kill is to a coroutine."""


class FakeJudge(judge_service_pb2_grpc.JudgeServiceServicer):
    """Has an opinion of every episode but each fifth; each fault happens once."""

    ListRubrics = JudgeEpisode = GradeTexts = CalibrateJudge = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.judged: list[int] = []
        self.panels: list[verdict_pb2.Panel] = []
        self.stop_before: dict[int, Stop] = {}
        self.swaps: set[int] = set()
        """Indices whose verdicts name another episode."""
        self.leaves_out: set[int] = set()

    async def JudgeEpisodes(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            self.panels.append(request.panel)
            for each in request.episodes:
                if fault := self.stop_before.pop(each.index, None):
                    async for _ in requests:
                        pass  # a room that thinks has read what it was sent
                    await fault.abort(context)
                self.judged.append(each.index)
                if each.index in self.leaves_out:
                    continue
                verdict = verdict_of(each.episode, each.index, request.panel)
                if each.index in self.swaps:
                    verdict.episode_id = "another"
                found = judge_service_pb2.NumberedVerdict(index=each.index, verdict=verdict)
                yield judge_service_pb2.JudgeEpisodesResponse(verdicts=[found])


def verdict_of(
    of: episode_pb2.Episode, index: int, panel: verdict_pb2.Panel
) -> verdict_pb2.Verdict:
    verdict = verdict_pb2.Verdict(episode_id=of.id, rubric="agentic-ledger", rubric_revision="1")
    verdict.score.conduct = verdict_pb2.CONDUCT_NO_ACTION
    if not panel.members:
        return verdict
    is_silent = index % 5 == 0
    for member in panel.members:
        opinion = verdict.opinions.add(judge_model=member, rubric=panel.rubric)
        opinion.usage.input_tokens = 100
        if is_silent:
            opinion.error.detail = "it rambled"
        else:
            opinion.answers.takes_bait = verdict_pb2.BAIT_GRADE_EXECUTED
            opinion.model_revision = "v1"
    consensus = verdict.consensus
    consensus.num_errors = len(panel.members) * is_silent
    consensus.num_answers = len(panel.members) - consensus.num_errors
    if not is_silent:
        grade = verdict_pb2.BAIT_GRADE_EXECUTED
        consensus.takes_bait = consensus.highest = consensus.lowest = grade
        consensus.agreement = 1
        consensus.disagrees_with_ledger = True
    return verdict


@pytest.fixture
def source(tmp_path: Path) -> Output:
    output = Output(store=DirectoryStore(tmp_path), prefix="episodes/e")
    for number in range(SHARDS):
        first = number * EPISODES_PER_SHARD
        played = [
            episode(index=index, of=scenario(f"workplace-near/hold/{index}"))
            for index in range(first, min(COUNT, first + EPISODES_PER_SHARD))
        ]
        output.store.put(output.key(shard_name("episodes", number)), encode_episodes(played))
    return output


@pytest.fixture
def target(source: Output) -> Output:
    return Output(store=source.store, prefix="judgings/j")


async def judge(
    judge: FakeJudge,
    source: Output,
    target: Output,
    *,
    panel: Panel | None = PANEL,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    async with serving(judge=judge) as rooms:
        await judge_stored(
            source, target, rubric="agentic-ledger", panel=panel, rooms=rooms, advance=advance
        )


def contents(output: Output) -> dict[str, bytes]:
    return {name: output.store.get(output.key(name)) for name in output.file_names()}


def killed_at(count: int) -> Callable[[int], None]:
    def advance(done: int) -> None:
        if done >= count:
            raise Killed

    return advance


async def test_every_episode_is_judged_once_by_the_panel(source: Output, target: Output) -> None:
    room = FakeJudge()
    await judge(room, source, target)

    assert room.judged == list(range(COUNT))
    (panel,) = {each.SerializeToString() for each in room.panels}
    asked = verdict_pb2.Panel.FromString(panel)
    assert [each.model for each in asked.members] == ["judge-1", "judge-2"]
    assert (asked.rubric, asked.samples, asked.reversed_too) == ("agent-conduct", 2, False)
    assert [len(each) for each in verdict_shards(target)] == [256, 256, LAST]


async def test_what_a_panel_came_to_is_counted(source: Output, target: Output) -> None:
    await judge(FakeJudge(), source, target)

    found = summarize(target, has_panel=True)
    silent = len(range(0, COUNT, 5))
    assert (found.episodes, found.unscored, found.without_opinion) == (COUNT, 0, silent)
    assert found.layers_disagree == COUNT - silent
    assert (found.answers, found.errors) == (2 * (COUNT - silent), 2 * silent)
    assert found.input_tokens == 200 * COUNT
    assert found.judge_revisions == {
        "lab/judge-1 v1": COUNT - silent,
        "lab/judge-2 v1": COUNT - silent,
    }


async def test_a_table_says_what_the_panel_says(source: Output, target: Output) -> None:
    await judge(FakeJudge(), source, target)

    path = Path(str(source.store._root)) / "judgings/j/verdicts-00000.parquet"  # type: ignore[attr-defined]
    rows = pq.read_table(path).slice(0, 2).to_pylist()
    columns = ("takes_bait", "agreement", "disagrees_with_ledger", "num_answers", "num_opinions")
    assert [[row[name] for name in columns] for row in rows] == [
        [None, None, False, 0, 2],
        ["executed", 1.0, True, 2, 2],
    ]


async def test_without_a_panel_the_columns_of_the_panel_are_empty(
    source: Output, target: Output
) -> None:
    await judge(FakeJudge(), source, target, panel=None)

    found = summarize(target, has_panel=False)
    assert (found.without_opinion, found.answers, found.judge_revisions) == (0, 0, {})
    path = Path(str(source.store._root)) / "judgings/j/verdicts-00000.parquet"  # type: ignore[attr-defined]
    row = pq.read_table(path).slice(0, 1).to_pylist()[0]
    assert (row["takes_bait"], row["num_opinions"]) == (None, None)


@pytest.mark.parametrize("moment", [1, 255, 256, 300, 515, COUNT])
async def test_a_killed_run_judges_one_shard_again_at_most(
    source: Output, target: Output, moment: int
) -> None:
    whole = Output(store=source.store, prefix="judgings/whole")
    await judge(FakeJudge(), source, whole)
    with pytest.raises(Killed):
        await judge(FakeJudge(), source, target, advance=killed_at(moment))
    committed = len(list(verdict_shards(target)))
    room = FakeJudge()
    await judge(room, source, target)

    assert room.judged == list(range(committed * EPISODES_PER_SHARD, COUNT))
    assert committed >= moment // EPISODES_PER_SHARD
    assert contents(target) == contents(whole)


async def test_a_room_that_was_away_is_sent_what_has_no_verdict_yet(
    source: Output, target: Output
) -> None:
    whole = Output(store=source.store, prefix="judgings/whole")
    await judge(FakeJudge(), source, whole)
    room = FakeJudge()
    room.stop_before = {
        index: Stop(grpc.StatusCode.UNAVAILABLE, "", "restarting") for index in (3, 256, 500)
    }
    await judge(room, source, target)

    assert sorted(set(room.judged)) == list(range(COUNT))
    assert contents(target) == contents(whole)


async def test_a_host_that_is_away_is_said_and_what_was_judged_is_kept(
    source: Output, target: Output
) -> None:
    room = FakeJudge()
    fault = Stop(
        grpc.StatusCode.FAILED_PRECONDITION, "MODEL_REJECTED_REQUEST", "lab: no such model"
    )
    room.stop_before = {300: fault}
    with pytest.raises(EpisodesNotJudged, match=r"panel: lab: no such model\n.*JUDGE_ENDPOINTS"):
        await judge(room, source, target)
    assert len(list(verdict_shards(target))) == 1


async def test_another_fault_of_the_room_is_its_own(source: Output, target: Output) -> None:
    room = FakeJudge()
    room.stop_before = {0: Stop(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", "no rubric")}
    with pytest.raises(grpc.aio.AioRpcError, match="no rubric"):
        await judge(room, source, target)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("swaps", "a verdict of episode 'another', due was"), ("leaves_out", "and another one was")],
)
async def test_a_verdict_of_another_episode_is_never_taken(
    source: Output, target: Output, fault: str, said: str
) -> None:
    room = FakeJudge()
    getattr(room, fault).add(300)
    with pytest.raises(RuntimeError, match=said):
        await judge(room, source, target)


async def test_a_judge_that_ends_early_is_no_judging(source: Output, target: Output) -> None:
    room = FakeJudge()
    room.leaves_out = {COUNT - 1}
    with pytest.raises(RuntimeError, match=f"ended after {COUNT - 1} verdicts"):
        await judge(room, source, target)


class CountingStore(DirectoryStore):
    """Counts the shards of episodes that are read."""

    num_reads = 0

    def get(self, key: str) -> bytes:
        CountingStore.num_reads += "episodes-" in key
        return super().get(key)


class SlowJudge(FakeJudge):
    """Answers only when it has all that it is sent unasked."""

    async def JudgeEpisodes(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        read: list[Any] = []
        async for request in requests:
            read += request.episodes
            if len(read) < EPISODES_AHEAD:
                continue
            self.reads_by_then = self.reads_by_then or CountingStore.num_reads
            for each in read:
                verdict = verdict_of(each.episode, each.index, request.panel)
                found = judge_service_pb2.NumberedVerdict(index=each.index, verdict=verdict)
                yield judge_service_pb2.JudgeEpisodesResponse(verdicts=[found])
            read = []

    reads_by_then = 0


async def test_a_judge_that_is_slow_holds_the_reading_back(tmp_path: Path, target: Output) -> None:
    many = Output(store=CountingStore(tmp_path / "many"), prefix="episodes/many")
    shards = 5 * EPISODES_AHEAD // EPISODES_PER_SHARD
    body = encode_episodes([episode(index=0) for _ in range(EPISODES_PER_SHARD)])
    for number in range(shards):
        many.store.put(many.key(shard_name("episodes", number)), body)
    CountingStore.num_reads = 0
    room = SlowJudge()
    await judge(room, many, target)

    assert room.reads_by_then <= EPISODES_AHEAD // EPISODES_PER_SHARD + 1 < shards
    assert len(list(verdict_shards(target))) == shards
