"""What the tests of grading share: a model server, a judge process that asks it, and haste."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from teachwhy.judge.v1 import judge_service_pb2_grpc

from services.dataset import judge_client
from services.servicekit.channel import open_channel
from tests.judge.grading_room import CONCURRENCY, Stub, endpoints_at, judge_texts
from tests.model_server.server import ModelServer
from tests.rollout.room_process import RoomProcess, room_process


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ModelServer]:
    with ModelServer(judge_texts) as server:
        yield server


@pytest.fixture
def server(shared_server: ModelServer) -> ModelServer:
    shared_server.heal()
    return shared_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(shared_server: ModelServer) -> AsyncIterator[RoomProcess]:
    async with room_process(
        "judge", endpoints=endpoints_at(shared_server), max_concurrency=str(CONCURRENCY)
    ) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="module")
async def judge(room: RoomProcess) -> AsyncIterator[Stub]:
    async with open_channel(room.address) as channel:
        yield judge_service_pb2_grpc.JudgeServiceStub(channel)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_client, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(judge_client, "RECONNECT_SECONDS", 0.5)
