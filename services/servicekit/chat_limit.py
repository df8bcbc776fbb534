"""How many requests an endpoint takes at once. Knows no protocol.

Additive increase, multiplicative decrease: an overload halves the limit, and a window of successes
raises it by one. A wait that the host asks for is kept by all requests, not only by the one that
was told. Requests go first in, first out.
"""

import asyncio
import random
import time
from collections import deque

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 20.0
_CAREFUL_PAUSES = 10  # what led to a pause is tried again after as many times its length
_MOST_DOUBLINGS = 10  # the longest pause is certain long before; a float must stay one


class GivenUp(Exception):
    """The host bears nothing at all; whoever waited for it need not any longer."""


class AdaptiveLimit:
    """A gate of one event loop; `enter` and `leave` go around each attempt."""

    def __init__(self, most: int) -> None:
        """Start with `most`, at least 1, and never let in more."""
        self._most = most
        self._limit = most
        self._overloaded_at = most + 1
        self._careful_until = 0.0
        self._in_flight = 0
        self._successes = 0
        self._era = 0
        self._overloads_at_one = 0
        self._stalled_since = 0.0
        self._opens_at = 0.0
        self._opening: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """Requests that may be on their way at once now."""
        return self._limit

    @property
    def overloads_at_one(self) -> int:
        """Overloads since the last success while the limit was one already."""
        return self._overloads_at_one

    @property
    def stalled_seconds(self) -> float:
        """Time since the first overload after the last success."""
        return time.monotonic() - self._stalled_since if self._stalled_since else 0.0

    async def enter(self) -> int:
        """Wait for the turn; return the era, which `overloaded` wants to know.

        Raises:
            GivenUp: somebody called `give_up` during the wait.
        """
        if self._waiting or not self._has_room():
            await self._wait()
        else:
            self._in_flight += 1
        return self._era

    def leave(self) -> None:
        """Give the place to whoever waits longest."""
        self._in_flight -= 1
        self._admit()

    def succeeded(self) -> None:
        """Note a request that the host could bear."""
        self._stalled_since = 0.0
        self._overloads_at_one = 0
        if self._limit == self._most:
            return
        self._successes += 1
        if self._successes >= self._limit and not self._is_careful():
            self._limit += 1
            self._successes = 0

    def overloaded(self, era: int) -> bool:
        """Note a request that was too much, before its `leave`; return whether that was news.

        Requests that were let in before the last decrease say nothing about the new limit: a
        burst of refusals counts once. At a limit of one a pause grows in its place.
        """
        if era != self._era:
            return False
        self._era += 1
        self._successes = 0
        self._stalled_since = self._stalled_since or time.monotonic()
        if self._limit == 1:
            self._overloads_at_one += 1
            self._pause(backoff_seconds(self._overloads_at_one))
        # A limit that was not reached is not what failed.
        self._overloaded_at = self._limit if self._in_flight >= self._limit else self._most + 1
        # What was on its way was too much, however much more was allowed; half of 1 is 1.
        self._limit = (min(self._limit, self._in_flight) + 1) // 2
        return True

    def pause(self, wait_seconds: float) -> None:
        """Let nobody in before that time, and a little jitter; 0 is no wish."""
        if wait_seconds > 0.0:
            self._pause(wait_seconds + backoff_seconds(1))
            self._careful_until = self._opens_at + _CAREFUL_PAUSES * wait_seconds

    def give_up(self, detail: str) -> None:
        """Tell all who wait that it is in vain."""
        waiting, self._waiting = self._waiting, deque()
        for place in waiting:
            if not place.done():
                place.set_exception(GivenUp(detail))

    def close(self) -> None:
        """Forget the timer."""
        if self._opening is not None:
            self._opening.cancel()

    def _pause(self, seconds: float) -> None:
        self._opens_at = max(self._opens_at, time.monotonic() + seconds)

    def _is_careful(self) -> bool:
        # One at a time is no rate to stay at.
        if self._limit < max(2, self._overloaded_at - 1):
            return False
        return time.monotonic() < self._careful_until

    def _has_room(self) -> bool:
        if self._in_flight >= self._limit:
            return False
        # The clock is asked only after an overload.
        if self._opens_at and time.monotonic() < self._opens_at:
            return False
        self._opens_at = 0.0
        return True

    async def _wait(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # let in and cancelled in the same moment
            raise

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            place = self._waiting.popleft()
            if not place.done():
                self._in_flight += 1
                place.set_result(None)
        if self._waiting and self._opens_at and self._opening is None:
            delay = max(0.0, self._opens_at - time.monotonic())
            self._opening = asyncio.get_running_loop().call_later(delay, self._open)

    def _open(self) -> None:
        self._opening = None
        self._admit()


def backoff_seconds(failures: int) -> float:
    """Return a wait after that many failures, at least 1: exponential with full jitter."""
    doublings = min(failures - 1, _MOST_DOUBLINGS)
    ceiling = min(_FIRST_PAUSE_SECONDS * 2.0**doublings, _LONGEST_PAUSE_SECONDS)
    return random.uniform(0.0, ceiling)  # noqa: S311 - spreads requests, hides nothing
