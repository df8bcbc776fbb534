"""What containers said, line by line with times, for readers that follow."""

import datetime as dt
import threading
import time
from collections import defaultdict
from collections.abc import Iterator


class ContainerLog:
    """The output of one run of a container."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str]] = []
        self._is_closed = False
        self._changed = threading.Condition()

    def say(self, line: str) -> None:
        with self._changed:
            # Times never repeat or go back, as with a real runtime.
            last = self._lines[-1][0] if self._lines else 0
            self._lines.append((max(time.time_ns(), last + 1), line))
            self._changed.notify_all()

    def close(self) -> None:
        """Say that nothing will follow."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        with self._changed:
            return "".join(f"{line}\n" for _, line in self._lines)

    def read(self, *, since_ns: int = 0, follow: bool = False) -> Iterator[tuple[int, str]]:
        """Lines from ``since_ns`` on; with ``follow`` until the container ended."""
        position = 0
        while True:
            with self._changed:
                while follow and position == len(self._lines) and not self._is_closed:
                    self._changed.wait(0.5)
                    yield 0, ""  # lets the server notice that its reader is gone
                batch = self._lines[position:]
                position = len(self._lines)
                is_over = not follow or (self._is_closed and not batch)
            yield from (each for each in batch if each[0] >= since_ns)
            if is_over:
                return


class PodLogs:
    """The logs of all pods by uid; of each the present run and the one before."""

    def __init__(self) -> None:
        self._runs: defaultdict[str, list[ContainerLog]] = defaultdict(list)

    def begin(self, uid: str) -> ContainerLog:
        """The log of a new run of the pod's container."""
        log = ContainerLog()
        self._runs[uid].append(log)
        return log

    def of(self, uid: str, *, previous: bool = False) -> ContainerLog | None:
        """The log of the present run, or of the one before."""
        runs = self._runs.get(uid, [])
        needed = 2 if previous else 1
        return runs[-needed] if len(runs) >= needed else None

    def text(self, uid: str) -> str:
        """Everything that all runs said."""
        return "".join(log.text for log in self._runs.get(uid, []))


def stamp(time_ns: int) -> str:
    """A time as logs with timestamps write it."""
    seconds, rest = divmod(time_ns, 10**9)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
