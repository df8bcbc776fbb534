"""Runs measured processes on one core and watches what they take."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import psutil

MIB = 2**20
SAMPLE_SECONDS = 0.1
CLIENT_CORE = 1
SERVER_CORE = 0


def pinned(command: Sequence[str], core: int) -> list[str]:
    """The command on one core, with all processes that it starts."""
    return ["taskset", "--cpu-list", str(core), *command]


class MemoryWatch:
    """The peak of the proportional memory of a process and all its children, sampled."""

    def __init__(self, pids: Sequence[int]) -> None:
        """Watch these processes from the moment of entering."""
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mib = 0.0

    def __enter__(self) -> Self:
        """Start to sample."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        # Looking takes time, too; a client that watches itself shall not pay for it.
        os.sched_setaffinity(0, {SERVER_CORE})
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak_mib = max(self.peak_mib, sum(memory_mib(pid) for pid in self._pids))


def memory_mib(pid: int) -> float:
    """Proportional set size of a process and its children, so that shared pages count once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error, AttributeError):
                total += process.memory_full_info().pss
    return total / MIB


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def cpu_of_both(room: int) -> float:
    """CPU time so far of a room and of its client, which is this process."""
    return cpu_seconds(room) + cpu_seconds(os.getpid())


@contextmanager
def running(
    command: Sequence[str], *, core: int, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process on a core; it is asked to end with the block."""
    process = subprocess.Popen(
        pinned(command, core),
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run_peer(command: Sequence[str], *, core: int) -> tuple[Mapping[str, float], float]:
    """What a peer's script found, and the peak memory of all its processes in MiB.

    It runs on a core, in an empty folder; the last line that it prints is a JSON object.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            pinned(command, core),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with MemoryWatch([process.pid]) as memory:
            said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit status {process.returncode}")
    return json.loads(said.splitlines()[-1]), memory.peak_mib


@contextmanager
def running_room(
    name: str, variables: Mapping[str, str], *, core: int
) -> Iterator[tuple[int, str]]:
    """A room of ours on a core: its process id and its address.

    Args:
        name: Name of the room. Example: "judge".
        variables: Its settings, without the prefix that its name gives them.
        core: Where it runs.
    """
    prefix = name.upper()
    settings = {"PORT": "0", "METRICS_PORT": "0", "DRAIN_PAUSE_SECONDS": "0", **variables}
    environment = {f"{prefix}_{setting}": value for setting, value in settings.items()}
    environment["OMP_NUM_THREADS"] = "1"  # it has one core
    command = [sys.executable, "-m", f"services.{name}"]
    with running(command, core=core, environment=environment) as room:
        ready = json.loads(wait_for_line(room, "server.ready"))
        yield room.pid, f"127.0.0.1:{ready['port']}"


@contextmanager
def stub_model(*options: str) -> Iterator[str]:
    """A stub model server on a core of its own: its URL.

    Args:
        options: What it answers, see benchmarks/stub_model_server.py.
    """
    command = [sys.executable, "-m", "benchmarks.stub_model_server", "0", *options]
    with running(command, core=SERVER_CORE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This process on one core, inside the block."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def wait_for_line(process: subprocess.Popen[str], text: str, *, seconds: float = 60.0) -> str:
    """The first line of a process's output that holds a text.

    Raises:
        RuntimeError: it ended, or the time is over, before there was one.
    """
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    for line in process.stdout:
        if text in line:
            return line
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"{process.args!r} did not say {text!r}")
