"""Writes what the journal collects, soon and again until it is stored. Knows no reply.

A reply that was accepted is lost only with the process.
"""

import asyncio

from services.servicekit.errors import StoreUnavailable
from services.servicekit.logs import get_logger
from services.servicekit.reply_journal import SEGMENT_BYTES, Batch, Journal
from services.servicekit.reply_segments import Lines
from services.servicekit.reply_shelf import Shelf

MOST_WAITING_BYTES = 64 << 20
"""Replies of this size may wait for a store that is away before no more are accepted."""

_LONGEST_PAUSE_SECONDS = 5.0
_LAST_ATTEMPTS = 3


class ReplyWriter:
    """Accepts replies and writes them in segments."""

    def __init__(self, shelf: Shelf, *, flush_seconds: float) -> None:
        """Write to this shelf, each reply at most this long after it was accepted.

        A write begins at half of that time; the other half is the store's.
        """
        self._shelf = shelf
        self._flush_seconds = flush_seconds
        self._journal = Journal()
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_due = False
        self._error: Exception | None = None
        self._pause_seconds = flush_seconds
        self._is_closing = False
        self.num_written = 0
        self.num_failures = 0

    @property
    def waiting_replies(self) -> int:
        """Number of replies that are accepted and not yet written."""
        return self._journal.waiting_replies

    def find(self, key: str) -> bytes | None:
        """Return a reply that waits."""
        return self._journal.find(key)

    async def add(self, key: str, reply: bytes) -> None:
        """Accept a reply, and wait only where too many wait already.

        Raises:
            StoreUnavailable: too many replies wait, and the last attempt to write failed. This
                reply is accepted all the same.
        """
        self._journal.add(key, reply)
        waiting = self._journal.waiting_bytes
        if waiting >= MOST_WAITING_BYTES:
            if self._error:
                raise self._overdue(self._error)
            await self.flush()
        elif waiting >= SEGMENT_BYTES and not self._error:
            self._begin()
        elif self._timer is None:
            self._schedule(self._flush_seconds / 2)

    async def flush(self) -> None:
        """Write all that waits, without blocking the event loop.

        Raises:
            StoreUnavailable: the store or the local copy cannot be written; nothing is lost.
        """
        async with self._writing:
            self._journal.seal()
            while batch := self._journal.first():
                await asyncio.to_thread(self._write, batch)
                self._journal.drop_first()
                self.num_written += 1
        if self._error:
            self._error = None
            self._pause_seconds = self._flush_seconds
            if self._timer:
                # It was set for a store that is away; what waits now waits no longer than usual.
                self._timer.cancel()
                self._schedule(self._flush_seconds / 2)

    async def close(self) -> None:
        """Write all that waits, in a few attempts, and stop.

        Raises:
            StoreUnavailable: the store is still away, and what waits is lost with the process.
        """
        self._is_closing = True
        if self._timer:
            self._timer.cancel()
        if self._task:
            await asyncio.wait((self._task,))
        for _ in range(_LAST_ATTEMPTS - 1):
            try:
                await self.flush()
            except StoreUnavailable as error:
                self._note(error)
                await asyncio.sleep(self._flush_seconds)
            else:
                return
        try:
            await self.flush()
        except StoreUnavailable as error:
            raise self._overdue(error) from error

    def _write(self, batch: Batch) -> None:
        if not batch.stored_as:
            batch.stored_as = self._shelf.put(batch.segment())
        try:
            self._shelf.shelve(Lines(batch.body), batch.stored_as)
        except StoreUnavailable as error:
            # Until the copy has them, replies stay in memory to be found; at the end nobody asks.
            if not self._is_closing:
                raise
            get_logger().warning("replies.not_copied", detail=error.message)

    def _schedule(self, delay_seconds: float) -> None:
        if not self._is_closing:
            self._timer = asyncio.get_running_loop().call_later(delay_seconds, self._begin)

    def _begin(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._task:
            self._is_due = True
        elif not self._is_closing:
            self._task = asyncio.create_task(self._write_in_background())

    async def _write_in_background(self) -> None:
        self._is_due = False
        try:
            await self.flush()
        except Exception as error:  # noqa: BLE001 (whatever it is, what waits is tried again)
            self._note(error)
            self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        self._task = None
        if self._error:
            self._schedule(self._pause_seconds)
        elif self._is_due:
            self._begin()

    def _note(self, error: Exception) -> None:
        self._error = error
        self.num_failures += 1
        get_logger().warning(
            "replies.not_written", waiting=self._journal.waiting_replies, detail=str(error)
        )

    def _overdue(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(
            "replies", f"{self._journal.waiting_replies} replies wait to be written: {error}"
        )
