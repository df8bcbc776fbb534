"""Streams that go on behind the last item when a room was away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from pipelines.experiment.rooms import ATTEMPTS_WITHOUT_PROGRESS, RoomAddresses, Rooms


class RoomsThatComeBack(Rooms):
    """Rooms that are always ready again at once; nothing listens at their addresses."""

    def __init__(self) -> None:
        super().__init__(
            RoomAddresses(
                dataset="127.0.0.1:1",
                rollout="127.0.0.1:1",
                judge="127.0.0.1:1",
                scoreboard="127.0.0.1:1",
            )
        )
        self.waits: list[str] = []

    async def wait_until_ready(self, room: str) -> None:
        self.waits.append(room)


def lost(code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "gone")


class Stream:
    """Counts from where the reader is; each connection brings ``items_each`` and breaks."""

    def __init__(self, *, total: int, items_each: list[int], fault: grpc.aio.AioRpcError) -> None:
        self.received: list[int] = []
        self.starts: list[int] = []
        self._total = total
        self._items_each = items_each
        self._fault = fault

    def open(self) -> AsyncIterator[int]:
        return self._items(len(self.received))

    async def _items(self, start: int) -> AsyncIterator[int]:
        connection = len(self.starts)
        self.starts.append(start)
        end = self._total
        if connection < len(self._items_each):
            end = start + self._items_each[connection]
        for item in range(start, end):
            yield item
        if connection < len(self._items_each):
            raise self._fault

    async def read(self, rooms: Rooms) -> None:
        async for item in rooms.resumed("rollout", self.open):
            self.received.append(item)


async def test_a_stream_is_opened_again_behind_the_last_item() -> None:
    stream = Stream(total=10, items_each=[3, 0, 4], fault=lost())
    async with RoomsThatComeBack() as rooms:
        await stream.read(rooms)
        assert rooms.waits == ["rollout"] * 3
    assert stream.received == list(range(10))
    assert stream.starts == [0, 3, 3, 7]


async def test_a_write_to_a_stream_that_just_ended_is_no_fault_of_the_room() -> None:
    fault = lost(grpc.StatusCode.INTERNAL)  # what grpc itself says, without a reason
    stream = Stream(total=6, items_each=[3], fault=fault)

    async with RoomsThatComeBack() as rooms:
        await stream.read(rooms)
    assert stream.received == list(range(6))


async def test_a_whole_stream_is_opened_once() -> None:
    stream = Stream(total=4, items_each=[], fault=lost())
    async with RoomsThatComeBack() as rooms:
        await stream.read(rooms)
        assert rooms.waits == []
    assert stream.starts == [0]


async def test_a_stream_that_brings_nothing_is_given_up() -> None:
    stream = Stream(total=10, items_each=[2] + [0] * 100, fault=lost())
    async with RoomsThatComeBack() as rooms:
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read(rooms)
    assert stream.received == [0, 1]
    assert len(stream.starts) == ATTEMPTS_WITHOUT_PROGRESS


async def test_progress_gives_a_stream_its_patience_back() -> None:
    breaks = 5 * ATTEMPTS_WITHOUT_PROGRESS
    stream = Stream(total=breaks + 1, items_each=[1] * breaks, fault=lost())
    async with RoomsThatComeBack() as rooms:
        await stream.read(rooms)
    assert stream.received == list(range(breaks + 1))


async def test_a_refusal_is_never_repeated() -> None:
    refusal = lost(grpc.StatusCode.INVALID_ARGUMENT)
    stream = Stream(total=10, items_each=[2, 2], fault=refusal)
    async with RoomsThatComeBack() as rooms:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stream.read(rooms)
        assert rooms.waits == []
    assert raised.value is refusal
    assert stream.starts == [0]


async def test_a_call_is_made_again_until_the_room_is_back() -> None:
    faults = [lost(), lost()]

    async def call() -> str:
        if faults:
            raise faults.pop()
        return "answer"

    async with RoomsThatComeBack() as rooms:
        assert await rooms.patiently("scoreboard", call) == "answer"
        assert rooms.waits == ["scoreboard"] * 2


async def test_a_call_to_a_room_that_stays_away_is_given_up() -> None:
    calls = 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        raise lost()

    async with RoomsThatComeBack() as rooms:
        with pytest.raises(grpc.aio.AioRpcError):
            await rooms.patiently("scoreboard", call)
    assert calls == ATTEMPTS_WITHOUT_PROGRESS
