"""Calls on their way, shared by all who ask the same. Knows no cache and no model."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from services.servicekit.chat import ChatReply


@dataclass(slots=True, eq=False)
class Flight:
    """One call, and how many wait for it."""

    key: str
    task: asyncio.Task[ChatReply]
    num_waiting: int = 0


class Flights:
    """At most one call for each key at any moment."""

    def __init__(self) -> None:
        """Begin with none."""
        self._by_key: dict[str, Flight] = {}

    def get(self, key: str) -> Flight | None:
        """Return the call that is on its way for a key."""
        return self._by_key.get(key)

    def begin(self, key: str, call: Coroutine[Any, Any, ChatReply]) -> Flight:
        """Send a call; land it at once, because a call that nobody waits for goes on for ever."""
        flight = self._by_key[key] = Flight(key, asyncio.create_task(call))
        flight.task.add_done_callback(lambda _task: self._forget(flight))
        return flight

    async def landed(self, flight: Flight) -> ChatReply:
        """Wait for a call together with the others.

        Whoever is cancelled leaves the others their call; the last one takes it along.

        Raises:
            Exception: whatever the call raised.
        """
        flight.num_waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.num_waiting -= 1
            if not flight.num_waiting and not flight.task.done():
                # Forgotten first, so that nobody joins a call that is about to end.
                self._forget(flight)
                flight.task.cancel()

    def _forget(self, flight: Flight) -> None:
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]
