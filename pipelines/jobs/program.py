"""Carries one order out, from its inputs to the published checkpoint; any end can be repeated."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pipelines.jobs import workplace
from pipelines.jobs.child import TrainingProcess
from pipelines.jobs.events import JobLog
from pipelines.jobs.launch import PROGRAM, program_command
from pipelines.jobs.mirror import CheckpointMirror
from pipelines.jobs.order import TrainingOrder, read_order
from pipelines.jobs.settings import JobsSettings, inherited_environment
from services.servicekit.digest import code_digest
from services.servicekit.disk_faults import disk_fault
from services.servicekit.errors import (
    InvalidField,
    ResourceConflict,
    StoredObjectCorrupt,
    StoreUnavailable,
)
from services.servicekit.storage.port import ObjectNotFound, ObjectStore
from services.servicekit.storage.settings import open_store

DONE = 0
UNUSABLE = 2
"""The order, an input or the spec is unusable: repeating it as it is does not help."""
AGAIN = 138
"""It did not come to its end, and the same command goes on: what the training operator calls a
retryable exit status is 128 or more, and 138 the one that a program may choose itself."""

_SIGNAL_STATUS = 128
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_POLL_SECONDS = 0.1
_LEAST_PRIORITY = 19

Result = TypeVar("Result")


class AnotherProgram(Exception):
    """The order asks for another version of the training program than this image has."""


class Stopped(Exception):
    """The process was asked to end while it waited."""


def carry_out(settings: JobsSettings, key: str) -> int:
    """Carry out the order under ``key``; return an exit status.

    Anything that goes wrong is one line on standard error.
    """
    log = JobLog(sys.stdout.buffer)
    stop = StopRequest()
    try:
        return _Job(settings, open_store(settings.store), log, stop).run(key)
    except _UNUSABLE_ORDERS as error:
        sys.stderr.write(f"error: order {key}: {error}\n")
        return UNUSABLE
    except StoreUnavailable as error:
        sys.stderr.write(f"error: order {key}: {error}; the same command goes on\n")
        return AGAIN
    except OSError as error:
        sys.stderr.write(f"error: order {key}: {disk_fault(error) or error}\n")
        return AGAIN
    except Stopped:
        log.event("job.stopped", exit_status=stop.exit_status)
        return stop.exit_status


_UNUSABLE_ORDERS = (
    AnotherProgram,
    InvalidField,
    ObjectNotFound,
    ResourceConflict,
    StoredObjectCorrupt,
)


class StopRequest:
    """Remembers SIGTERM and SIGINT, and hands them to what has to know at once."""

    def __init__(self) -> None:
        """Take both signals over."""
        self._received: int | None = None
        self._on_stop: Callable[[], None] = self._exit
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    @contextmanager
    def handed_to(self, on_stop: Callable[[], None]) -> Iterator[None]:
        """Call ``on_stop`` in the block; afterwards a signal is only remembered."""
        self._on_stop = on_stop
        try:
            # It may have come in between.
            if self.is_received:
                on_stop()
            yield
        finally:
            self._on_stop = _nothing

    @property
    def is_received(self) -> bool:
        """Whether the process was asked to end."""
        return self._received is not None

    @property
    def exit_status(self) -> int:
        """What a shell reports for a process that ended by this signal."""
        return _SIGNAL_STATUS + (self._received or 0)

    def _receive(self, number: int, _frame: object) -> None:
        self._received = number
        self._on_stop()

    def _exit(self) -> None:
        # Before training there is nothing to keep: a copy that was cut off goes on where it was.
        os._exit(self.exit_status)


class _Job:
    def __init__(
        self, settings: JobsSettings, store: ObjectStore, log: JobLog, stop: StopRequest
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._stop = stop
        self._folder = settings.folder.resolve()

    def run(self, key: str) -> int:
        order = self._patiently(lambda: read_order(self._store, key))
        result = self._result(order)
        mirror = CheckpointMirror(order, self._store, self._folder, result, self._log)
        if self._patiently(order.published(self._store).is_complete):
            self._log.event("job.already_published", output=order.output)
            return self._finish(result, mirror)
        if not (result / workplace.SUMMARY).exists():
            status = self._trained(order, result, mirror)
            if status != DONE:
                return status
        if self._settings.node_rank == 0:
            self._patiently(lambda: self._publish(order, result))
            self._log.event("job.published", output=order.output)
        return self._finish(result, mirror)

    def _result(self, order: TrainingOrder) -> Path:
        """Where the program writes: on the disk that all nodes see, if there is one."""
        shared = self._settings.checkpoint_folder
        if shared is None:
            return self._folder / workplace.RESULT
        return shared / f"{order.name}.{order.digest[:16]}"

    def _trained(self, order: TrainingOrder, result: Path, mirror: CheckpointMirror) -> int:
        """Run the program to its end; return an exit status."""
        if (here := code_digest(PROGRAM)) != order.program:
            raise AnotherProgram(
                f"it asks for version {order.program[:16]} of {PROGRAM}, and this image has "
                f"{here[:16]}; use the image of the release that wrote the order"
            )
        self._log.event("job.fetching_inputs", folders=list(order.folders))
        self._patiently(lambda: workplace.prepare(order, self._store, self._folder))
        if not self._mirrors:
            return self._run_program(result)
        self._patiently(mirror.restore)
        with _copying(mirror, self._settings.mirror_seconds, self._log):
            status = self._run_program(result)
        if status >= _SIGNAL_STATUS:
            try:
                self._patiently(mirror.copy_newest, until_stopped=False)
            except (StoreUnavailable, OSError) as error:
                self._log.event("job.checkpoint_not_copied", error=str(error))
        return status

    @property
    def _mirrors(self) -> bool:
        return self._settings.checkpoint_folder is None

    def _run_program(self, result: Path) -> int:
        command = program_command(
            self._settings,
            inherited_environment(),
            str(self._folder / workplace.SPEC),
            "--output",
            str(result),
        )
        program = TrainingProcess(command, self._folder, self._log)
        with self._stop.handed_to(program.stop):
            status = program.wait()
        if status == DONE:
            return DONE
        if self._stop.is_received:
            self._log.event("job.stopped", exit_status=self._stop.exit_status)
            return self._stop.exit_status
        if status == UNUSABLE or program.has_refused:
            return UNUSABLE
        sys.stderr.write(f"error: the training program ended with exit status {status}\n")
        return status if status > _SIGNAL_STATUS else AGAIN

    def _publish(self, order: TrainingOrder, result: Path) -> None:
        try:
            workplace.publish(order, self._store, self._folder, result=result)
        except FileNotFoundError:
            # Another node may have published it and removed the folder that they share.
            if not order.published(self._store).is_complete():
                raise

    def _finish(self, result: Path, mirror: CheckpointMirror) -> int:
        """Remove what only an unfinished training needs."""
        if self._settings.node_rank == 0:
            if self._mirrors:
                self._patiently(mirror.remove)
            else:
                shutil.rmtree(result, ignore_errors=True)
        return DONE

    def _patiently(self, work: Callable[[], Result], *, until_stopped: bool = True) -> Result:
        """Do ``work``, and again for a while where the store does not answer."""
        deadline = time.monotonic() + self._settings.patience_seconds
        pauses = iter(_PAUSES)
        while True:
            try:
                return work()
            except StoreUnavailable as error:
                if time.monotonic() >= deadline:
                    raise
                self._log.event("job.store_unavailable", error=str(error))
            until = min(time.monotonic() + next(pauses, _PAUSES[-1]), deadline)
            while time.monotonic() < until:
                if until_stopped and self._stop.is_received:
                    raise Stopped
                time.sleep(_POLL_SECONDS)


@contextmanager
def _copying(mirror: CheckpointMirror, every_seconds: float, log: JobLog) -> Iterator[None]:
    """Copy checkpoints in the block, in a thread; a failure is said and tried again later."""
    ended = threading.Event()

    def copy() -> None:
        if sys.platform == "linux":
            # Copying gives way to training; threads that are started here inherit it.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)
        while not ended.wait(every_seconds):
            try:
                mirror.copy_newest()
            except (StoreUnavailable, OSError) as error:
                log.event("job.checkpoint_not_copied", error=str(error))

    thread = threading.Thread(target=copy, name="mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _nothing() -> None:
    """Leave it at remembering."""
