"""What the cluster noted about an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """Something that the cluster noted about an object."""

    when: str
    kind: str
    """ "Normal" or "Warning"."""
    reason: str
    message: str
    uid: str
    """The object; another one may have had its name."""
    count: int = 1

    def __str__(self) -> str:
        """One line for a message."""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.reason}{times}: {' '.join(self.message.split())}"


def event_of(body: Mapping[str, Any]) -> ObjectEvent:
    """Read an Event."""
    last = body.get("lastTimestamp") or body.get("eventTime") or body.get("firstTimestamp")
    return ObjectEvent(
        when=str(last or body["metadata"].get("creationTimestamp", "")),
        kind=str(body.get("type", "")),
        reason=str(body.get("reason", "")),
        message=str(body.get("message", "")),
        uid=str((body.get("involvedObject") or {}).get("uid", "")),
        count=int(body.get("count") or 1),
    )
