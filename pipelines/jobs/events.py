"""What a job says: one JSON object a line, its own among those of the training program."""

from __future__ import annotations

import threading
from typing import BinaryIO

import orjson
from pydantic import JsonValue


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
