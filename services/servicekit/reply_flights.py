"""Calls on their way, shared by all who ask the same. Knows no cache and no model."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from services.servicekit.chat import ChatReply


@dataclass(slots=True, eq=False)
class Flight:
    """One call, and those who wait for it."""

    key: str
    task: asyncio.Task[None] | None = None
    waiting: list[asyncio.Future[ChatReply]] = field(default_factory=list)


class Flights:
    """At most one call for each key at any moment."""

    def __init__(self) -> None:
        """Begin with none."""
        self._by_key: dict[str, Flight] = {}

    def get(self, key: str) -> Flight | None:
        """Return the call that is on its way for a key."""
        return self._by_key.get(key)

    def begin(self, key: str, ask: Callable[[], Coroutine[Any, Any, ChatReply]]) -> Flight:
        """Send a call; land it at once, because a call that nobody waits for goes on for ever."""
        flight = self._by_key[key] = Flight(key)
        flight.task = asyncio.create_task(self._fly(flight, ask))
        return flight

    async def landed(self, flight: Flight) -> ChatReply:
        """Wait for a call together with the others.

        Whoever is cancelled leaves the others their call; the last one takes it along.

        Raises:
            Exception: whatever the call raised.
        """
        # A future for each who waits, as cheap as it gets: asyncio.shield takes twice as long.
        place: asyncio.Future[ChatReply] = asyncio.get_running_loop().create_future()
        flight.waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            flight.waiting.remove(place)
            if not flight.waiting and flight.task is not None:
                # Forgotten first, so that nobody joins a call that is about to end.
                self._forget(flight)
                flight.task.cancel()
            raise

    async def _fly(self, flight: Flight, ask: Callable[[], Coroutine[Any, Any, ChatReply]]) -> None:
        try:
            reply = await ask()
        except Exception as error:  # noqa: BLE001 (whoever waits raises it)
            self._forget(flight)
            for place in _open_places(flight):
                place.set_exception(error)
        except BaseException:
            self._forget(flight)
            for place in _open_places(flight):
                place.cancel()
            raise
        else:
            self._forget(flight)
            for place in _open_places(flight):
                place.set_result(reply)

    def _forget(self, flight: Flight) -> None:
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]


def _open_places(flight: Flight) -> list[asyncio.Future[ChatReply]]:
    return [place for place in flight.waiting if not place.done()]
