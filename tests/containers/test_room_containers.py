"""Each room in a container without rights, in a network that leads nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from teachwhy.dataset.v1 import dataset_service_pb2, recipe_pb2
from teachwhy.scoreboard.v1 import scoreboard_service_pb2, scoreboard_service_pb2_grpc

from pipelines.experiment.rooms import RoomAddresses, Rooms
from services.servicekit.channel import error_details, open_channel
from tests.containers.engine import NETWORK, Container, Engine, until
from tests.containers.room_containers import (
    KEYS,
    METRICS_PORTS,
    PORTS,
    RESTARTED,
    is_serving,
    room_container,
    status_of,
    store_settings,
    write_keys,
)
from tests.contract.tree import GRPC_ROOMS
from tests.scoreboard.samples import digest, header_message, outcome_message, stream
from tests.servicekit.s3_server import S3Server
from tools.build_images import Image

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

SERVING_PORT = 8080
FIXED_ADDRESS = "10.117.0.50"
"""Kept over restarts, since this test knows no name."""


@pytest.mark.parametrize("room", GRPC_ROOMS)
def test_a_room_is_ready_without_rights_and_leaves_when_asked(
    engine: Engine, images: Mapping[str, Image], room: str
) -> None:
    with room_container(engine, images[room]) as container:
        metrics = f"{container.address}:{METRICS_PORTS[room]}"

        assert is_serving(container, room)
        assert status_of(f"{metrics}/ready") == 200
        assert status_of(f"{metrics}/metrics") == 200
        assert container.stop() == 0
        assert '"server.stopped"' in container.said()


@pytest.mark.parametrize("room", GRPC_ROOMS)
def test_a_wrong_setting_ends_a_room_with_two_and_a_sentence(
    engine: Engine, images: Mapping[str, Image], room: str
) -> None:
    variable = f"{room.upper()}_PROT"
    container = engine.start(room, images[room].name, environment={variable: "1"})
    try:
        assert container.wait() == 2
        assert f"{variable}: is no setting" in container.said()
    finally:
        engine.remove(container)


def test_the_model_server_is_ready_without_rights_and_leaves_when_asked(
    engine: Engine, images: Mapping[str, Image]
) -> None:
    told = {"SERVING_HOST": "0.0.0.0"}
    container = engine.start("serving", images["serving"].name, environment=told)
    try:
        until(lambda: status_of(f"{container.address}:{SERVING_PORT}/v2/health/ready") == 200)
        assert status_of(f"{container.address}:{SERVING_PORT}/metrics") == 200
        assert container.stop() == 0
    finally:
        engine.remove(container)


async def test_a_stream_goes_on_behind_its_last_item_when_its_room_crashes(
    engine: Engine, images: Mapping[str, Image]
) -> None:
    fixed = (*RESTARTED, f"--ip={FIXED_ADDRESS}")
    with room_container(engine, images["dataset"], options=fixed) as container:
        whole = Reader(container=container)
        disturbed = Reader(container=container, crashes_behind=[0, 300])
        await whole.read()
        await disturbed.read()

        assert whole.opened == 1
        assert disturbed.opened >= 3  # a connection may be tried while the room is still away
        assert container.restarts == 2
        assert disturbed.ids == whole.ids
        assert len(whole.ids) > 600


async def test_the_scoreboard_says_so_while_its_store_is_away_and_heals(
    engine: Engine,
    images: Mapping[str, Image],
    store_container: Container,
    s3: S3Server,
    tmp_path: Path,
) -> None:
    told = store_settings(s3, s3.new_bucket(), "SCOREBOARD")
    # To look a name up that is gone takes ten seconds here.
    told |= {"SCOREBOARD_STORE__MAX_ATTEMPTS": "2"}
    keys = {KEYS: write_keys(tmp_path / "keys", s3)}
    with room_container(engine, images["scoreboard"], environment=told, mounts=keys) as scoreboard:
        first = await _recorded(scoreboard, seed=1)
        address = store_container.address
        engine.docker("network", "disconnect", NETWORK, store_container.name)
        try:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await _recorded(scoreboard, seed=2)
        finally:
            engine.docker("network", "connect", f"--ip={address}", NETWORK, store_container.name)
        second = await _recorded(scoreboard, seed=2)

        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error_details(refused.value).reason == "STORE_UNAVAILABLE"
        assert await _listed(scoreboard) == {first, second}
        assert scoreboard.restarts == 0


@dataclass(kw_only=True)
class Reader:
    """Reads a dataset as a run does; its room crashes behind some of the items."""

    container: Container
    crashes_behind: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    opened: int = 0
    crashed: int = 0
    _tokens: int = 0

    async def read(self) -> None:
        at = f"{self.container.address}:{PORTS['dataset']}"
        addresses = RoomAddresses(dataset=at, rollout=at, judge=at, scoreboard=at)
        async with Rooms(addresses) as rooms:
            async for response in rooms.resumed("dataset", lambda: self._open(rooms)):
                for item in response.items:
                    self.ids.append(item.example.id)
                    self._tokens = item.example.cumulative_tokens
                # Of a crashed room's stream the rest may still arrive; the next crash is another's.
                is_due = bool(self.crashes_behind) and len(self.ids) > self.crashes_behind[0]
                if is_due and self.opened > self.crashed:
                    del self.crashes_behind[0]
                    self.crashed += 1
                    self.container.crash()

    def _open(self, rooms: Rooms) -> AsyncIterator[dataset_service_pb2.GenerateExamplesResponse]:
        self.opened += 1
        spec = recipe_pb2.DatasetSpec(recipe="generic-chat", token_budget=300_000)
        resume_from = dataset_service_pb2.ResumePoint(
            next_index=len(self.ids), cumulative_tokens=self._tokens
        )
        return aiter(
            rooms.dataset.GenerateExamples(
                dataset_service_pb2.GenerateExamplesRequest(spec=spec, resume_from=resume_from)
            )
        )


async def _recorded(scoreboard: Container, *, seed: int) -> str:
    """Record an evaluation and return its name."""
    header = header_message(seed=seed, digest=digest("container", seed))
    outcomes = [outcome_message(f"w{seed}/track/{index}") for index in range(10)]
    async with open_channel(f"{scoreboard.address}:{PORTS['scoreboard']}") as channel:
        stub = scoreboard_service_pb2_grpc.ScoreboardServiceStub(channel)
        answer = await stub.RecordEvaluation(stream(header, outcomes), timeout=60)
    return answer.evaluation.name


async def _listed(scoreboard: Container) -> set[str]:
    async with open_channel(f"{scoreboard.address}:{PORTS['scoreboard']}") as channel:
        stub = scoreboard_service_pb2_grpc.ScoreboardServiceStub(channel)
        request = scoreboard_service_pb2.ListEvaluationsRequest()
        answer = await stub.ListEvaluations(request, timeout=60)
    return {each.name for each in answer.evaluations}
