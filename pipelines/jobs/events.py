"""What a job says: one JSON object a line, its own among those of the training program."""

from __future__ import annotations

import threading
from typing import Any, BinaryIO

import orjson
from pydantic import JsonValue


def event_of(line: bytes | str, name: str) -> dict[str, Any] | None:
    """Read a line as the event of this name; None if it is another one, or none."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    is_it = isinstance(event, dict) and event.get("event") == name
    return event if is_it else None


class JobLog:
    """Writes whole lines to a stream, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to ``stream``, which is binary."""
        self._stream = stream
        self._lock = threading.Lock()

    def event(self, name: str, /, **fields: JsonValue) -> None:
        """Write an event of the job."""
        self.line(orjson.dumps({"event": name, **fields}) + b"\n")

    def line(self, line: bytes) -> None:
        """Pass on a line of the program, the last one perhaps without its end."""
        with self._lock:
            self._stream.write(line if line.endswith(b"\n") else line + b"\n")
            self._stream.flush()
