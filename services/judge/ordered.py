"""Works on a stream of items many at a time and delivers in their order.

Knows nothing of what is worked on. Unlike a series, the items come from a caller, when it likes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

READ_AHEAD = 16
"""Finished items that may wait behind a slow one, beyond those being worked on."""


async def in_order(
    items: AsyncIterable[Item],
    make: Callable[[Item], Awaitable[Made]],
    *,
    width: int,
) -> AsyncGenerator[Made, None]:
    """Make something of each item, concurrently, and yield it in the order of the items.

    At most `width + READ_AHEAD` items are taken and not yet delivered, so a slow consumer holds
    back the work and the source. The first item that fails, or the source's own failure, ends the
    stream with its exception, after all items before it. Closing the generator cancels everything
    at once, so close it (`contextlib.aclosing`).
    """
    room = asyncio.Semaphore(width + READ_AHEAD)
    begun: asyncio.Queue[asyncio.Task[Made] | None] = asyncio.Queue()

    async def make_one(item: Item) -> Made:
        return await make(item)

    async def take() -> None:
        try:
            await room.acquire()
            async for item in items:
                begun.put_nowait(asyncio.create_task(make_one(item)))
                await room.acquire()
        finally:
            begun.put_nowait(None)

    taking = asyncio.create_task(take())
    task: asyncio.Task[Made] | None = None
    try:
        while (task := await begun.get()) is not None:
            # A bare await would cancel this one task first, and the place it gives up would
            # begin another before the rest is cancelled.
            await asyncio.wait((task,))
            made = task.result()
            task = None
            room.release()
            yield made
        await taking
    finally:
        taking.cancel()
        left = [taking, task, *(begun.get_nowait() for _ in range(begun.qsize()))]
        for each in filter(None, left):
            each.cancel()
            # Nobody awaits these any more; a failure among them is news to no one.
            each.add_done_callback(_retrieve)


def _retrieve(task: "asyncio.Task[object]") -> None:
    if not task.cancelled():
        task.exception()
