"""Several processes may play one evaluation; what comes of it is what one of them would make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from pipelines.experiment.play import num_shards, play_episodes
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.outputs import Output
from services.servicekit.storage.directory import DirectoryStore
from tests.experiment.fake_rooms import Stop, serving
from tests.experiment.test_hosted_evaluation import (
    PLANNED,
    STEP,
    SUITES,
    FakeRollout,
    Killed,
    NoHost,
    Response,
    contents,
    evaluate,
    killed_at,
)


async def play(
    rollout: FakeRollout,
    folder: Path,
    shards: range,
    advance: Callable[[int], None] = lambda _: None,
) -> Output:
    output = Output(store=DirectoryStore(folder), prefix="episodes/d")
    async with serving(rollout=rollout) as rooms:
        await play_episodes(
            STEP,
            output,
            settings=Evaluation(suites=SUITES),
            rooms=rooms,
            host=NoHost(),
            advance=advance,
            shards=shards,
        )
    return output


def spans(rollout: FakeRollout) -> list[tuple[int, int]]:
    return [(request.start_index, request.end_index) for request in rollout.requests]


async def test_parts_make_what_one_process_makes_and_nothing_is_played_again(
    tmp_path: Path,
) -> None:
    whole = await evaluate(FakeRollout(), tmp_path / "whole")
    rollout = FakeRollout()
    await play(rollout, tmp_path / "parts", range(2, 4))
    await play(rollout, tmp_path / "parts", range(2))
    parts = await evaluate(rollout, tmp_path / "parts")

    assert num_shards(STEP) == 4
    assert spans(rollout) == [(512, 0), (0, 512)]
    assert sorted(rollout.sent) == list(range(PLANNED))
    assert contents(parts) == contents(whole)


async def test_only_what_is_missing_between_parts_is_played(tmp_path: Path) -> None:
    whole = await evaluate(FakeRollout(), tmp_path / "whole")
    rollout = FakeRollout()
    await play(rollout, tmp_path / "parts", range(1, 2))
    await play(rollout, tmp_path / "parts", range(3, 4))
    rollout.requests.clear()
    told: list[int] = []
    output = await evaluate(rollout, tmp_path / "parts", advance=told.append)

    assert spans(rollout) == [(0, 256), (512, 768)]
    assert told == list(range(PLANNED - 512 + 1, PLANNED + 1))
    assert contents(output) == contents(whole)


async def test_a_part_that_is_there_is_not_played_again(tmp_path: Path) -> None:
    rollout = FakeRollout()
    await play(rollout, tmp_path, range(1, 3))
    rollout.requests.clear()
    await play(rollout, tmp_path, range(1, 3))

    assert rollout.requests == []


async def test_a_killed_part_goes_on_behind_its_last_shard(tmp_path: Path) -> None:
    rollout = FakeRollout()
    with pytest.raises(Killed):
        await play(rollout, tmp_path, range(1, 4), killed_at(300))
    rollout.requests.clear()
    output = await play(rollout, tmp_path, range(1, 4))

    assert spans(rollout) == [(512, 0)]
    assert output.file_names() == [f"episodes-0000{number}.parquet" for number in (1, 2, 3)]


async def test_a_room_that_was_away_goes_on_in_the_part(tmp_path: Path) -> None:
    rollout = FakeRollout()
    rollout.stop_before = {270: Stop(grpc.StatusCode.UNAVAILABLE, "", "restarting")}
    await play(rollout, tmp_path, range(1, 2))

    assert spans(rollout) == [(256, 512), (270, 512)]


async def test_a_part_that_ends_early_is_said_and_commits_no_broken_shard(tmp_path: Path) -> None:
    class Tired(FakeRollout):
        async def RunEpisodes(  # noqa: N802 - named by the contract
            self, request: Any, context: Any
        ) -> AsyncIterator[Response]:
            async for response in super().RunEpisodes(request, context):
                if response.episodes[0].index > 280:
                    return
                yield response

    with pytest.raises(RuntimeError, match=r"ended after 284 of 512 episodes"):
        await play(Tired(), tmp_path, range(1, 2))
    output = Output(store=DirectoryStore(tmp_path), prefix="episodes/d")
    assert output.file_names() == []
