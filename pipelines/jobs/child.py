"""The training program as a child process: its output is passed on, a signal reaches it."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

from pipelines.jobs.events import JobLog, event_of
from pipelines.jobs.launch import Command

_SIGNAL_STATUS = 128
_LAST_LINES_SECONDS = 10.0


class TrainingProcess:
    """One run of the training program."""

    def __init__(self, command: Command, folder: Path, log: JobLog) -> None:
        """Start it with ``folder`` as its working directory."""
        self._log = log
        self._has_refused = False
        self._process = subprocess.Popen(  # noqa: S603  (a command of our own)
            command.arguments,
            cwd=folder,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._pass_on, name="output", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Ask it to write a checkpoint and to end; may be called from a signal handler."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end and return its exit status, 128 and the signal's number if by one."""
        status = self._process.wait()
        # An orphan may still hold the pipe; it must not hold this process up.
        self._reader.join(_LAST_LINES_SECONDS)
        return status if status >= 0 else _SIGNAL_STATUS - status

    @property
    def has_refused(self) -> bool:
        """Whether the program said that its input is unusable, which torchrun's status hides."""
        return self._has_refused

    def _pass_on(self) -> None:
        assert self._process.stdout is not None, "stdout is a pipe"
        for line in self._process.stdout:
            self._has_refused |= event_of(line, "training.failed") is not None
            self._log.line(line)
