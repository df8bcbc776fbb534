"""Replies that are accepted and not yet stored. Knows no store and no clock but the one for names.

What is added stays here until it is dropped as stored, so that a store that is away loses nothing.
"""

import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.servicekit.reply_segments import Segment, add_line, begun_at

SEGMENT_BYTES = 4 << 20
"""Replies of this size make a segment, however young they are."""


@dataclass(slots=True, kw_only=True, eq=False)
class Batch:
    """Replies that become one segment."""

    begun: str
    writer: str
    number: int
    body: bytearray = field(default_factory=bytearray)
    places: dict[str, slice] = field(default_factory=dict)
    stored_as: str = ""
    """Key of the segment, once it is stored."""

    def find(self, key: str) -> bytes | None:
        """Return one of its replies."""
        place = self.places.get(key)
        return None if place is None else bytes(self.body[place])

    def segment(self) -> Segment:
        """Make the segment, the same whenever it is made; it costs a copy and a checksum."""
        return Segment.of(self.body, begun=self.begun, writer=self.writer, number=self.number)


class Journal:
    """Collects replies into batches whose names no other writer uses."""

    def __init__(self) -> None:
        """Begin empty, as a writer with a name of its own."""
        self._writer = secrets.token_hex(8)
        self._number = 0
        self._open: Batch | None = None
        self._sealed: deque[Batch] = deque()

    @property
    def waiting_bytes(self) -> int:
        """Size of all that waits."""
        return sum(len(batch.body) for batch in self._batches())

    @property
    def waiting_replies(self) -> int:
        """Number of replies that wait."""
        return sum(len(batch.places) for batch in self._batches())

    def find(self, key: str) -> bytes | None:
        """Return a reply that waits."""
        return next((batch.find(key) for batch in self._batches() if key in batch.places), None)

    def add(self, key: str, reply: bytes) -> None:
        """Accept a reply; it counts once, however often it is added while it waits."""
        if any(key in batch.places for batch in self._batches()):
            return
        if self._open is None:
            self._number += 1
            self._open = Batch(
                begun=begun_at(datetime.now(UTC)), writer=self._writer, number=self._number
            )
        self._open.places[key] = add_line(self._open.body, key, reply)
        if len(self._open.body) >= SEGMENT_BYTES:
            self.seal()

    def seal(self) -> None:
        """Close the batch that is being collected, if there is one."""
        if self._open:
            self._sealed.append(self._open)
        self._open = None

    def first(self) -> Batch | None:
        """Return the oldest closed batch."""
        return self._sealed[0] if self._sealed else None

    def drop_first(self) -> None:
        """Forget the oldest closed batch, because others have it now."""
        self._sealed.popleft()

    def _batches(self) -> tuple[Batch, ...]:
        return (*self._sealed, self._open) if self._open else tuple(self._sealed)
