"""Finds kept replies in the local copy, and keeps the copy up with the store. Knows no reply."""

import asyncio
import math
import sqlite3
import time

from services.servicekit.errors import StoreUnavailable
from services.servicekit.logs import get_logger
from services.servicekit.reply_copy import LocalCopy
from services.servicekit.reply_shelf import Shelf

_PATIENCE_SECONDS = 5.0
"""How long a call waits for news from a store that is slow; then it is made."""


class ReplyReader:
    """Looks keys up, and reads other processes' segments when one is missing."""

    def __init__(self, copy: LocalCopy, shelf: Shelf, *, refresh_seconds: float) -> None:
        """Read this copy, and look for new segments at most this often."""
        self._copy = copy
        self._shelf = shelf
        self._refresh_seconds = refresh_seconds
        self._refreshed_at = -math.inf
        self._known_generation = -1
        self._refreshing: asyncio.Task[None] | None = None
        self._joining: asyncio.Task[None] | None = None
        self.num_failures = 0

    def start(self) -> None:
        """Begin to read what the store has."""
        self._refresh()

    async def close(self) -> None:
        """Wait for what runs; tell the shelf to stop before."""
        running = [task for task in (self._refreshing, self._joining) if task]
        if running:
            await asyncio.wait(running)

    async def find(self, key: str) -> bytes | None:
        """Return a reply of the copy.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        try:
            return self._copy.find(key)
        except sqlite3.Error:
            return await asyncio.to_thread(self._copy.find_patiently, key)

    async def has_news(self) -> bool:
        """Say whether it is worth looking again, after reading new segments if that is due.

        A copy that never had all segments of the store is waited for, because each key that it
        lacks would be paid again. Later on a store that is away or slow holds nobody up.

        Raises:
            StoreUnavailable: the copy never had all segments, and the store cannot be read.
        """
        if self._known_generation != self._copy.generation:
            refreshing = self._refresh()
            await asyncio.wait((refreshing,))
            refreshing.result()
            return True
        is_due = time.monotonic() - self._refreshed_at >= self._refresh_seconds
        if not is_due and self._refreshing is None:
            return False
        await asyncio.wait((self._refresh(),), timeout=_PATIENCE_SECONDS)
        return True

    def _refresh(self) -> "asyncio.Task[None]":
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._read_new_segments())
            self._refreshing.add_done_callback(_retrieve)
        return self._refreshing

    async def _read_new_segments(self) -> None:
        try:
            generation = -1
            while generation != self._copy.generation:
                generation = self._copy.generation
                await asyncio.to_thread(self._shelf.import_new)
            self._known_generation = generation
        except StoreUnavailable as error:
            self._note("replies.not_refreshed", error)
            raise
        finally:
            self._refreshed_at = time.monotonic()
            self._refreshing = None
        if self._shelf.has_many_small and self._joining is None:
            self._joining = asyncio.create_task(self._join_small_segments())

    async def _join_small_segments(self) -> None:
        try:
            await asyncio.to_thread(self._shelf.join_small)
        except StoreUnavailable as error:
            self._note("replies.not_joined", error)
        finally:
            self._joining = None

    def _note(self, event: str, error: StoreUnavailable) -> None:
        self.num_failures += 1
        get_logger().warning(event, detail=error.message)


def _retrieve(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()  # whoever waits raises it; a failure that nobody waits for is logged
