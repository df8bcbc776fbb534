"""Series of items: made many at a time, delivered in order, collected into batches.

Knows nothing of what is played: anything that turns an index into an awaitable will do.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial
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

    loop = asyncio.get_running_loop()
    window: deque[asyncio.Task[Item]] = deque()
    waiting = iter(indices)
    try:
        for index in islice(waiting, max_concurrency + READ_AHEAD):
            window.append(loop.create_task(make_one(index)))
        while window:
            if not window[0].done():
                await _end_of(window[0], loop)
            item = window[0].result()
            window.popleft()
            for index in islice(waiting, 1):
                window.append(loop.create_task(make_one(index)))
            yield item
    finally:
        for task in window:
            task.cancel()
            # Nobody awaits these any more; a failure among them is news to no one.
            task.add_done_callback(_retrieve)


def _end_of(task: "asyncio.Task[Any]", loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Return what waits for a task: asyncio.wait at a third of its cost.

    A bare await would cancel this one task first, and the place it gives up at the gate would
    begin another before the rest is cancelled.
    """
    ended = loop.create_future()
    task.add_done_callback(partial(_note_end, ended))
    return ended


def _note_end(ended: asyncio.Future[None], _task: "asyncio.Task[Any]") -> None:
    if not ended.done():
        ended.set_result(None)


def _retrieve(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()


async def in_batches(
    items: AsyncIterator[Item],
    *,
    size_of: Callable[[Item], int],
    max_items: int,
    max_size: int,
    linger_seconds: float = 0.02,
) -> AsyncGenerator[list[Item], None]:
    """Collect items that come close behind one another; a message of a stream costs more than one.

    A batch is given when it holds `max_items`, when its sizes reach `max_size`, `linger_seconds`
    after its first item was seen, or at the end. While the consumer has a batch at most one more
    is collected. What came before a failure is given before it is raised. Closing the generator
    stops the collecting at once; `items` is left to its owner.

    Args:
        items: What to collect.
        size_of: Size of an item in any unit.
        max_items: Most items of a batch, 1 or more.
        max_size: Size from which a batch is full; its last item may pass it.
        linger_seconds: How long the first item of a batch waits for company.
    """
    batch: list[Item] = []
    size = 0
    arrived, full, taken = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def collect() -> None:
        nonlocal size
        try:
            async for item in items:
                while full.is_set():
                    taken.clear()
                    await taken.wait()
                batch.append(item)
                size += size_of(item)
                arrived.set()
                if len(batch) >= max_items or size >= max_size:
                    full.set()
        finally:
            arrived.set()
            full.set()

    collecting = asyncio.create_task(collect())
    try:
        while not collecting.done() or batch:
            await arrived.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(linger_seconds):
                    await full.wait()
            whole, batch, size = batch, [], 0
            if not collecting.done():
                arrived.clear()
                full.clear()
                taken.set()
            if whole:
                yield whole
        collecting.result()
    finally:
        collecting.cancel()
        await asyncio.wait((collecting,))
        _retrieve(collecting)
