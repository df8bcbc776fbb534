"""A room that is asked to leave in the middle of a stream, as a node asks, and the one after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import recipe_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, rollout_service_pb2_grpc

from pipelines.experiment.generate import generate_dataset
from pipelines.experiment.rooms import RoomAddresses, Rooms
from pipelines.experiment.spec_data import WrittenDataset
from pipelines.experiment.steps import DatasetStep
from pipelines.outputs import Output
from services.servicekit.storage.port import ObjectNotFound
from services.servicekit.storage.settings import open_store
from tests.containers.engine import GATEWAY, Container, Engine, until
from tests.containers.room_containers import (
    METRICS_PORTS,
    NOT_SERVING,
    PORTS,
    health_of,
    room_container,
    status_of,
)
from tests.model_server.answers import hang
from tests.model_server.server import ModelServer
from tests.servicekit.s3_server import S3Server
from tools.build_images import Image

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

FIXED_ADDRESS = "10.117.0.51"
"""Kept over the change of containers, since this test knows no name."""
SUITE = "microworld-held-out"
ANSWERED = 12
"""Calls of a model that are answered before it hangs; more calls than that make the episodes."""
DATASET_TOKENS = 1_500_000


class Successive:
    """A room whose container may be followed by another at the same address."""

    def __init__(
        self, engine: Engine, image: Image, stack: ExitStack, settings: Mapping[str, str]
    ) -> None:
        self._start: Callable[[], Container] = lambda: stack.enter_context(
            room_container(
                engine,
                image,
                environment={
                    f"{image.room.upper()}_{name}": each for name, each in settings.items()
                },
                options=(f"--ip={FIXED_ADDRESS}",),
            )
        )
        self._remove = engine.remove
        self.room = image.room
        self.container = self._start()

    @property
    def addresses(self) -> RoomAddresses:
        """For a caller that asks this room alone."""
        at = f"{FIXED_ADDRESS}:{PORTS[self.room]}"
        return RoomAddresses(dataset=at, rollout=at, judge=at, scoreboard=at)

    def follow(self) -> str:
        """Start the container after one that ended; return what that one said."""
        said = self.container.said()
        self._remove(self.container)
        self.container = self._start()
        return said


@contextmanager
def successive(engine: Engine, image: Image, **settings: str) -> Iterator[Successive]:
    """A room at a fixed address."""
    with ExitStack() as stack:
        yield Successive(engine, image, stack, settings)


@dataclass(kw_only=True)
class Series:
    """Plays a series of episodes as a run does."""

    rooms: Rooms
    episodes: list[episode_pb2.Episode] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Where each connection began."""

    async def play(self) -> None:
        async for response in self.rooms.resumed("rollout", self._open):
            self.episodes.extend(response.episodes)

    def _open(self) -> AsyncIterator[rollout_service_pb2.RunEpisodesResponse]:
        self.starts.append(len(self.episodes))
        target = model_pb2.ModelRef(endpoint="default", model="agent")
        spec = episode_pb2.EpisodesSpec(suites=[SUITE], draws_per_scenario=2, target=target)
        request = rollout_service_pb2.RunEpisodesRequest(spec=spec, start_index=self.starts[-1])
        return aiter(self.rooms.rollout.RunEpisodes(request))


def _endpoints(host: ModelServer) -> str:
    return json.dumps({"default": {"base_url": host.base_url, "timeout_seconds": 600}})


async def _until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)


def _code_for_a_stranger() -> grpc.StatusCode:
    """What a new caller of the rollout room is answered."""
    with grpc.insecure_channel(f"{FIXED_ADDRESS}:{PORTS['rollout']}") as channel:
        stub = rollout_service_pb2_grpc.RolloutServiceStub(channel)
        try:
            stub.ListSuites(rollout_service_pb2.ListSuitesRequest(), timeout=10)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


async def test_a_room_that_is_stopped_says_so_refuses_new_calls_and_is_followed_by_another(
    engine: Engine, images: Mapping[str, Image]
) -> None:
    with (
        ModelServer(host=GATEWAY) as host,
        successive(
            engine,
            images["rollout"],
            ENDPOINTS=_endpoints(host),
            DRAIN_PAUSE_SECONDS="3",
            DRAIN_SECONDS="5",
        ) as room,
    ):
        async with Rooms(room.addresses) as rooms:
            whole = Series(rooms=rooms)
            await whole.play()
            before = host.num_requests
            host.inject(*[hang()] * 1000, when=lambda asked: asked.number >= before + ANSWERED)
            cut = Series(rooms=rooms)
            playing = asyncio.create_task(cut.play())
            await _until(lambda: host.num_requests >= before + ANSWERED and bool(cut.episodes))

            metrics = f"{FIXED_ADDRESS}:{METRICS_PORTS['rollout']}"
            stopping = asyncio.create_task(asyncio.to_thread(room.container.stop))
            await _until(lambda: health_of(room.container, "rollout") == NOT_SERVING)
            assert await asyncio.to_thread(status_of, f"{metrics}/ready") == 503
            # Callers get a moment to see it, in which they are still answered.
            assert await asyncio.to_thread(_code_for_a_stranger) is grpc.StatusCode.OK
            await _until(lambda: _code_for_a_stranger() is grpc.StatusCode.UNAVAILABLE)
            assert cut.starts == [0], "the stream ended before its time to drain"
            assert await stopping == 0

            host.heal()
            said = await asyncio.to_thread(room.follow)
            await playing

    assert '"server.stopped"' in said
    assert len(cut.starts) >= 2
    assert 0 < cut.starts[-1] < len(whole.episodes)
    assert cut.episodes == whole.episodes


async def test_a_stream_that_ends_while_its_room_drains_is_whole(
    engine: Engine, images: Mapping[str, Image]
) -> None:
    with (
        ModelServer(host=GATEWAY) as host,
        successive(
            engine, images["rollout"], ENDPOINTS=_endpoints(host), DRAIN_SECONDS="60"
        ) as room,
    ):
        async with Rooms(room.addresses) as rooms:
            series = Series(rooms=rooms)
            with host.held():
                playing = asyncio.create_task(series.play())
                await asyncio.to_thread(host.wait_for, 1)
                stopping = asyncio.create_task(asyncio.to_thread(room.container.stop))
                await _until(lambda: '"server.draining"' in room.container.said())
            await playing
        assert await stopping == 0

    assert series.starts == [0]
    assert [each.index for each in series.episodes] == list(range(60))


async def test_a_dataset_whose_room_was_stopped_is_absent_until_it_is_whole_and_the_same(
    engine: Engine, images: Mapping[str, Image], s3: S3Server
) -> None:
    store = open_store(s3.settings(bucket=s3.new_bucket()))
    whole, cut = (Output(store=store, prefix=f"datasets/{name}") for name in ("whole", "cut"))
    left: list[str] = []
    ended: list[int] = []
    with successive(engine, images["dataset"], DRAIN_SECONDS="1") as room:

        def replace_the_room(_tokens: int) -> None:
            # Nothing is read meanwhile, so that the stream cannot end within the time to drain.
            written = [] if ended else cut.file_names()
            if written:
                ended.append(room.container.stop())
                left.extend(cut.file_names())
                assert not cut.is_complete()
                with pytest.raises(ObjectNotFound):
                    cut.read(written[0])
                assert '"code":"CANCELLED"' in room.follow()

        async with Rooms(room.addresses) as rooms:
            await _generate(whole, rooms, lambda _tokens: None)
            await _generate(cut, rooms, replace_the_room)

    assert ended == [0]
    assert 0 < len(left) < len(cut.file_names())
    assert cut.manifest().files == whole.manifest().files
    assert cut.manifest().counts == whole.manifest().counts
    assert cut.read_all() == whole.read_all()


async def _generate(output: Output, rooms: Rooms, advance: Callable[[int], None]) -> None:
    part = WrittenDataset(recipe="generic-chat", name="chat", tokens=DATASET_TOKENS)
    step = DatasetStep(part=part, seed=0, tokens=DATASET_TOKENS, digest="0" * 64)
    spec = recipe_pb2.DatasetSpec(recipe="generic-chat", token_budget=DATASET_TOKENS)
    await generate_dataset(step, spec, output, rooms, advance)
