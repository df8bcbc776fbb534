"""Plays a series in order: many at a time, delivered one after the other.

Knows nothing of what is played: anything that turns an index into an awaitable will do.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")

READ_AHEAD = 16
"""Finished items that may wait behind a slow one, beyond those being played."""


async def in_order(
    make: Callable[[int], Coroutine[Any, Any, Item]],
    indices: range,
    *,
    gate: asyncio.Semaphore,
    max_concurrency: int,
) -> AsyncGenerator[Item, None]:
    """Make items concurrently and yield them in ascending index.

    At most `max_concurrency + READ_AHEAD` items are begun and not yet taken by the consumer, so a
    slow consumer holds back the model calls, and a slow item holds back only what lies far behind
    it. The first item that fails ends the stream with its exception, after all items before it.
    Closing the generator cancels everything at once, so close it (`contextlib.aclosing`).

    Args:
        make: Makes the item of an index.
        indices: Indices to make, ascending.
        gate: Bounds what runs at once over all streams of the process.
        max_concurrency: The gate's size.
    """

    async def make_one(index: int) -> Item:
        async with gate:
            return await make(index)

    window: deque[asyncio.Task[Item]] = deque()
    waiting = iter(indices)
    try:
        for index in islice(waiting, max_concurrency + READ_AHEAD):
            window.append(asyncio.create_task(make_one(index)))
        while window:
            # A bare await would cancel this one task first, and the place it gives up at the
            # gate would begin another before the rest is cancelled.
            await asyncio.wait((window[0],))
            item = window[0].result()
            window.popleft()
            for index in islice(waiting, 1):
                window.append(asyncio.create_task(make_one(index)))
            yield item
    finally:
        for task in window:
            task.cancel()
            # Nobody awaits these any more; a failure among them is news to no one.
            task.add_done_callback(_retrieve)


def _retrieve(task: "asyncio.Task[Item]") -> None:
    if not task.cancelled():
        task.exception()
