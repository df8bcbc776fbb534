"""Items that come close behind one another share a message."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import pytest

from services.servicekit.series import in_batches

LONG = 60.0


async def series(items: Iterable[int]) -> AsyncIterator[int]:
    for item in items:
        yield item


async def batches_of(
    items: AsyncIterator[int], *, max_items: int = 4, max_size: int = 10**6, linger: float = LONG
) -> list[list[int]]:
    batches = in_batches(
        items, size_of=int, max_items=max_items, max_size=max_size, linger_seconds=linger
    )
    return [batch async for batch in batches]


async def test_full_batches_come_first_and_the_rest_comes_at_the_end() -> None:
    assert await batches_of(series(range(10))) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_nothing_makes_no_batch() -> None:
    assert await batches_of(series(())) == []


async def test_the_item_that_reaches_the_size_ends_the_batch() -> None:
    assert await batches_of(series([5, 5, 1, 9, 2]), max_size=10) == [[5, 5], [1, 9], [2]]


async def test_an_item_waits_for_company_no_longer_than_it_is_told() -> None:
    lonely = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        yield 1
        await lonely.wait()
        yield 2

    batches = in_batches(slow(), size_of=int, max_items=9, max_size=9, linger_seconds=0.01)
    async with aclosing(batches):
        assert await anext(batches) == [1]
        lonely.set()
        assert await anext(batches) == [2]


async def test_what_came_before_a_failure_is_given_before_it_is_raised() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise LookupError("gone")

    batches = in_batches(failing(), size_of=int, max_items=9, max_size=99)

    assert await anext(batches) == [1, 2]
    with pytest.raises(LookupError, match="gone"):
        await anext(batches)


async def test_a_slow_consumer_holds_the_series_back() -> None:
    made = 0

    async def counting() -> AsyncIterator[int]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield 0

    batches = in_batches(counting(), size_of=int, max_items=4, max_size=99)
    async with aclosing(batches):
        await anext(batches)
        for _ in range(50):
            await asyncio.sleep(0)

        assert made <= 4 + 4 + 1  # a batch with the consumer, one collected, one that waits


async def test_closing_stops_the_collecting_at_once() -> None:
    cancelled = False
    blocked = asyncio.Event()

    async def hanging() -> AsyncIterator[int]:
        nonlocal cancelled
        yield 1
        try:
            await blocked.wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    batches = in_batches(hanging(), size_of=int, max_items=1, max_size=9)
    await anext(batches)
    await asyncio.sleep(0)
    await batches.aclose()

    assert cancelled
