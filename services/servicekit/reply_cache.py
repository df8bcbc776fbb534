"""Keeps every reply that was paid for, in the object store, for all replicas.

New replies are collected in memory and written as one segment at least once a second, so that a
killed process has to pay at most its last second again. Replies are read from a local copy; when a
key is missing there, new segments of other processes are looked for. Knows no model and no host.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from services.servicekit.chat import ChatReply, ChatRequest
from services.servicekit.errors import InvalidField, StoreUnavailable
from services.servicekit.logs import get_logger
from services.servicekit.reply_copy import LocalCopy
from services.servicekit.reply_flights import Flights
from services.servicekit.reply_reader import ReplyReader
from services.servicekit.reply_record import reply_from_bytes, reply_to_bytes, request_key
from services.servicekit.reply_shelf import Shelf
from services.servicekit.reply_writer import ReplyWriter
from services.servicekit.storage.port import ObjectStore

_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


def reply_key(request: ChatRequest, variant: str = "") -> str:
    """Return the key of a request's reply, 64 hexadecimal digits.

    It covers endpoint, model, messages, tools and sampling, which includes the seed.

    Args:
        request: What is asked.
        variant: What else shapes the reply, such as settings of the endpoint.
    """
    return request_key(request, variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCacheCounts:
    """What a cache did since it was made."""

    hits: int
    misses: int
    kept_replies: int
    unreadable_replies: int
    """Found, and of a form that this version does not know; they count as misses."""
    waiting_replies: int
    """Accepted and not yet in the store."""
    written_segments: int
    imported_segments: int
    """Segments of other processes, or of this one before it was started."""
    joined_segments: int
    skipped_segments: int
    """Stored objects under replies/ that are damaged, or of another version, or no segments."""
    failures: int
    """Failed attempts to reach the store or to write the local copy."""


class ReplyCache:
    """Replies by the key of their request. Enter it before the first use.

    Leaving it writes what still waits, and raises StoreUnavailable where that cannot be done.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: Path,
        *,
        flush_seconds: float = 1.0,
        refresh_seconds: float = 5.0,
    ) -> None:
        """Keep replies in this store.

        Args:
            store: Holds the segments of all processes, under replies/.
            folder: Local folder of the read copy, which belongs to this store. Processes of one
                machine may share it, and it may be deleted at any time.
            flush_seconds: A reply is in the store at most this long after it was kept. A write is
                begun at half of it; the other half is the store's.
            refresh_seconds: A missing key looks for other processes' segments at most this often.
        """
        self.flights = Flights()
        """Calls on their way, for the chat models that stand before this cache."""
        self._copy = LocalCopy(folder)
        self._shelf = Shelf(store, self._copy)
        self._writer = ReplyWriter(self._shelf, flush_seconds=flush_seconds)
        self._reader = ReplyReader(self._copy, self._shelf, refresh_seconds=refresh_seconds)
        self._is_open = False
        self._hits = self._misses = self._kept = self._unreadable = 0

    async def __aenter__(self) -> Self:
        """Open the local copy and begin to read the store; the first miss waits for the end of it.

        Raises:
            StoreUnavailable: the folder cannot be used.
        """
        await asyncio.to_thread(self._copy.segments)
        self._reader.start()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what still waits.

        Raises:
            StoreUnavailable: that cannot be done. Where another error ends the block already, it
                is that one which is raised, and this one is in the log.
        """
        self._is_open = False
        self._shelf.stop()
        try:
            # First of all, because whoever waits for this may run out of patience.
            await self._writer.close()
        except StoreUnavailable as failure:
            get_logger().error("replies.lost", detail=failure.message)
            if error is None:
                raise
        finally:
            await self._reader.close()
            await asyncio.to_thread(self._copy.close)

    @property
    def counts(self) -> ReplyCacheCounts:
        """What the cache did until now."""
        return ReplyCacheCounts(
            hits=self._hits,
            misses=self._misses,
            kept_replies=self._kept,
            unreadable_replies=self._unreadable,
            waiting_replies=self._writer.waiting_replies,
            written_segments=self._writer.num_written,
            imported_segments=self._shelf.num_imported,
            joined_segments=self._shelf.num_joined,
            skipped_segments=self._shelf.num_skipped,
            failures=self._writer.num_failures + self._reader.num_failures,
        )

    async def find(self, key: str) -> ChatReply | None:
        """Return the reply of a key; None if no process kept one, as far as this one knows.

        Raises:
            InvalidField: this text is no key.
            StoreUnavailable: the store was never read as a whole and cannot be read, or the local
                copy cannot.
        """
        self._check(key)
        data = self._writer.find(key) or await self._reader.find(key)
        if data is None and await self._reader.has_news():
            found = await self._reader.find(key)
            # Last and without a pause, because a call may have ended while the store was read.
            data = self._writer.find(key) or found
        reply = self._read(key, data) if data else None
        if reply is None:
            self._misses += 1
        else:
            self._hits += 1
        return reply

    async def keep(self, key: str, reply: ChatReply) -> None:
        """Accept a reply. It is found at once, and in the store within flush_seconds.

        Raises:
            InvalidField: this text is no key.
            StoreUnavailable: too many replies wait for a store that is away. This one is accepted
                all the same, but whoever pays for more may pay for them twice.
        """
        self._check(key)
        self._kept += 1
        await self._writer.add(key, reply_to_bytes(reply))

    async def flush(self) -> None:
        """Write all that waits.

        Raises:
            StoreUnavailable: that cannot be done now; nothing is lost, and it is tried again.
        """
        await self._writer.flush()

    def _read(self, key: str, data: bytes) -> ChatReply | None:
        try:
            return reply_from_bytes(data)
        except ValueError as error:
            self._unreadable += 1
            get_logger().error("reply.unreadable", key=key, detail=str(error))
            return None

    def _check(self, key: str) -> None:
        if not self._is_open:
            raise RuntimeError("ReplyCache must be entered before its first use")
        if not _KEY.fullmatch(key):
            raise InvalidField.at("reply_key", f"must be 64 hexadecimal digits, got {key[:80]!r}")
