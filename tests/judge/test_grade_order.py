"""A caller's items are worked on many at a time, answered in order, and never far ahead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from services.judge.ordered import READ_AHEAD, in_order


class _Work:
    """Items that finish when they are told to."""

    def __init__(self, *, held: bool = False) -> None:
        self.begun: list[int] = []
        self.cancelled = 0
        self.release = asyncio.Event()
        if not held:
            self.release.set()

    async def make(self, item: int) -> int:
        self.begun.append(item)
        try:
            await self.release.wait()
            for _ in range(item * 7 % 5):  # later items overtake earlier ones
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if item == 13:
            raise ValueError(item)
        return item


class _Source:
    def __init__(self, items: range, failure: Exception | None = None) -> None:
        self.taken = 0
        self._items = items
        self._failure = failure

    async def __aiter__(self) -> AsyncIterator[int]:
        for item in self._items:
            self.taken += 1
            yield item
        if self._failure is not None:
            raise self._failure


async def _settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def _receive(received: list[int], work: _Work, source: _Source, width: int = 4) -> None:
    async with aclosing(in_order(source, work.make, width=width)) as made:
        async for item in made:
            received.append(item)  # noqa: PERF401 - kept when the stream fails


async def _received(work: _Work, source: _Source) -> list[int]:
    received: list[int] = []
    await _receive(received, work, source)
    return received


async def test_items_come_in_the_order_of_the_source_whichever_finishes_first() -> None:
    assert await _received(_Work(), _Source(range(20, 300))) == list(range(20, 300))


async def test_a_source_without_items_ends_at_once() -> None:
    assert await _received(_Work(), _Source(range(0))) == []


async def test_a_consumer_that_stops_taking_holds_back_the_source() -> None:
    work, source = _Work(), _Source(range(20, 1000))
    async with aclosing(in_order(source, work.make, width=4)) as made:
        assert await anext(made) == 20
        await _settle()

        assert source.taken <= 4 + READ_AHEAD + 1


async def test_items_are_answered_while_the_source_waits_for_more() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        yield 1
        await more.wait()
        yield 2

    async with aclosing(in_order(source(), _Work().make, width=4)) as made:
        assert await anext(made) == 1
        more.set()
        assert await anext(made) == 2


async def test_the_first_failure_ends_the_stream_after_what_came_before() -> None:
    work = _Work()
    received: list[int] = []

    with pytest.raises(ValueError, match="13"):
        await _receive(received, work, _Source(range(100)))
    await _settle()

    assert received == list(range(13))
    assert len(work.begun) <= 13 + 4 + READ_AHEAD + 1


async def test_a_source_that_fails_ends_the_stream_after_its_items() -> None:
    received: list[int] = []

    with pytest.raises(LookupError):
        await _receive(received, _Work(), _Source(range(3), LookupError()))

    assert received == [0, 1, 2]


async def test_closing_cancels_everything_at_once() -> None:
    work, source = _Work(held=True), _Source(range(20, 1000))
    made = in_order(source, work.make, width=4)
    first = asyncio.ensure_future(anext(made))
    await _settle()

    first.cancel()
    await asyncio.wait((first,))
    await made.aclose()
    await _settle()

    assert work.cancelled == len(work.begun) == 4 + READ_AHEAD
    assert source.taken == 4 + READ_AHEAD
