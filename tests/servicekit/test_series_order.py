"""A series comes in order, never runs far ahead, and stops when nobody listens."""

import asyncio
from contextlib import aclosing

import pytest

from services.servicekit.series import READ_AHEAD, in_order


class _Work:
    """Items that finish when they are told to."""

    def __init__(self, *, held: bool = False) -> None:
        self.started: list[int] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self.release = asyncio.Event()
        if not held:
            self.release.set()

    async def make(self, index: int) -> int:
        self.started.append(index)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.release.wait()
            for _ in range(index * 7 % 5):  # later items overtake earlier ones
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return index


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_items_come_in_ascending_order_whichever_finishes_first() -> None:
    work = _Work()

    items = [
        item
        async for item in in_order(
            work.make, range(3, 200), gate=asyncio.Semaphore(8), max_concurrency=8
        )
    ]

    assert items == list(range(3, 200))
    assert work.most_running <= 8


async def test_a_consumer_that_stops_taking_holds_back_the_work() -> None:
    work = _Work()
    stream = in_order(work.make, range(1000), gate=asyncio.Semaphore(4), max_concurrency=4)

    async with aclosing(stream):
        assert await anext(stream) == 0
        await _settle()

        assert len(work.started) <= 1 + 4 + READ_AHEAD


async def test_closing_the_stream_cancels_what_runs_and_starts_nothing_more() -> None:
    work = _Work(held=True)
    stream = in_order(work.make, range(1000), gate=asyncio.Semaphore(4), max_concurrency=4)
    taking = asyncio.create_task(anext(stream))
    await _settle()
    assert work.started == [0, 1, 2, 3]

    taking.cancel()
    await _settle()
    work.release.set()
    await _settle()

    assert taking.cancelled()
    assert work.cancelled == 4
    assert work.started == [0, 1, 2, 3]


async def test_a_failure_comes_after_all_items_before_it_and_ends_the_stream() -> None:
    work = _Work()

    async def fails_at_five(index: int) -> int:
        if index >= 5:
            raise ConnectionError(index)
        return await work.make(index)

    stream = in_order(fails_at_five, range(100), gate=asyncio.Semaphore(16), max_concurrency=16)
    received = [await anext(stream) for _ in range(5)]

    with pytest.raises(ConnectionError):
        await anext(stream)

    assert received == [0, 1, 2, 3, 4]


async def test_all_streams_share_one_gate() -> None:
    work, gate = _Work(), asyncio.Semaphore(3)

    async def drain() -> None:
        async for _ in in_order(work.make, range(50), gate=gate, max_concurrency=3):
            pass

    await asyncio.gather(drain(), drain(), drain())

    assert work.most_running <= 3
    assert len(work.started) == 150


async def test_an_empty_series_ends_at_once() -> None:
    work = _Work()

    stream = in_order(work.make, range(5, 5), gate=asyncio.Semaphore(1), max_concurrency=1)

    assert [item async for item in stream] == []
