"""What the program says while it runs: one JSON object a line. Knows no torch."""

import json
import time
from collections.abc import Callable
from typing import TextIO

from pydantic import JsonValue

from pipelines.training import metrics

_SECONDS_BETWEEN = 0.5


class Progress:
    """Writes events to a stream and numbers to the metrics."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a stream, or to none; the clock counts seconds."""
        self._stream = stream
        self._clock = clock
        self._next = 0.0

    def event(self, name: str, /, **fields: JsonValue) -> None:
        """Write one event at once."""
        if self._stream is None:
            return
        self._stream.write(json.dumps({"event": name, **fields}) + "\n")
        self._stream.flush()

    def step(
        self, *, step: int, tokens: int, total_tokens: int, loss: float, tokens_per_second: float
    ) -> None:
        """Report a step; at most two lines a second are written."""
        metrics.LOSS.set(loss)
        metrics.DONE_TOKENS.set(tokens)
        metrics.TOKENS_PER_SECOND.set(tokens_per_second)
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _SECONDS_BETWEEN
        self.event(
            "training.progress",
            step=step,
            tokens=tokens,
            total_tokens=total_tokens,
            loss=round(loss, 4),
            tokens_per_second=round(tokens_per_second),
        )
