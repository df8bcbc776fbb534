"""Follows what a container says, over streams that are cut and containers that start again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import urllib3

_CHUNK_BYTES = 65_536
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """Where a log is read."""

    uid: str
    """The pod; one that has its name later is another one."""
    state: Callable[[], Awaitable[Mapping[str, Any] | None]]
    """Return the pod of this name, or None."""
    open: Callable[[str], Awaitable[Any]]
    """Open a stream that begins at a time, or at the start; None while there is no log."""
    poll_seconds: float


async def follow(place: LogPlace) -> AsyncIterator[str]:
    """Yield every line once, until the pod is over and everything was read, or it is gone."""
    seen = _Seen()
    while True:
        pod = await place.state()
        if pod is None or pod["metadata"]["uid"] != place.uid:
            return
        was_over = (pod.get("status") or {}).get("phase") in _OVER
        response = await place.open(seen.since)
        if response is not None:
            seen.begin()
            stream = _Stream(response)
            async for line in stream.lines():
                text = seen.new(line)
                if text is not None:
                    yield text
            if was_over and stream.is_whole:
                return
        elif was_over:
            return
        await asyncio.sleep(place.poll_seconds)


class _Seen:
    """How far a log was read; the server counts in seconds, so it repeats lines."""

    def __init__(self) -> None:
        self.since = ""
        self._at_since = 0
        self._repeated = 0

    def new(self, line: str) -> str | None:
        """Return the text of a line with its time, or None if it was seen before."""
        time, _, text = line.partition(" ")
        if time < self.since:
            return None
        if time == self.since:
            self._repeated += 1
            if self._repeated <= self._at_since:
                return None
            self._at_since += 1
            return text
        self.since, self._at_since, self._repeated = time, 1, 1
        return text

    def begin(self) -> None:
        """A new stream begins at the last time."""
        self._repeated = 0


class _Stream:
    """One open response, read in a thread of its own."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.is_whole = False
        """Whether the server ended it, rather than an accident."""

    async def lines(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        rest = b""
        thread = ThreadPoolExecutor(1, thread_name_prefix="log")
        try:
            while chunk := await loop.run_in_executor(thread, self._read):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            # What was cut off in the middle of a line comes again, whole.
            if rest and self.is_whole:
                yield rest.decode(errors="replace")
        finally:
            # Wakes the thread where it waits for more.
            with suppress(OSError, ValueError, RuntimeError):
                self._response.shutdown()
            thread.shutdown(wait=False)
            self._response.close()

    def _read(self) -> bytes:
        try:
            chunk: bytes = self._response.read1(_CHUNK_BYTES)
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return b""
        self.is_whole = not chunk
        return chunk
