"""A Docker engine of these tests' own, and what tests ask of it.

tools/container_stage.py gives the tests their own namespaces, so nothing here can outlive them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
USER = 10001
SUBNET = "10.117.0.0/24"
GATEWAY = "10.117.0.1"
"""Address of this side, on which the containers reach what the tests serve."""
NETWORK = "inside"


class DockerFailed(Exception):
    """A command of Docker ended badly; the message is what it said."""


def until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask again and again until the answer is yes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Container:
    """A container, by its name."""

    engine: Engine
    name: str

    def inspect(self) -> Any:
        return json.loads(self.engine.docker("container", "inspect", self.name))[0]

    @property
    def address(self) -> str:
        """Its address in the network."""
        return str(self.inspect()["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])

    @property
    def restarts(self) -> int:
        return int(self.inspect()["RestartCount"])

    @property
    def pid(self) -> int:
        """Its first process; 0 while it has none."""
        return int(self.inspect()["State"]["Pid"])

    @property
    def is_running(self) -> bool:
        return bool(self.inspect()["State"]["Running"])

    def said(self) -> str:
        """Everything that it wrote to its outputs so far."""
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr

    def crash(self) -> None:
        """Kill its first process, as a lack of memory does; `docker kill` would be no crash."""
        until(lambda: self.pid > 1)
        pid = self.pid
        # 0, of a container that is not up, would be this process and its like.
        assert pid > 1, f"{self.name} has no process"
        os.kill(pid, signal.SIGKILL)

    def wait(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until it ended, and return its exit status."""
        done = self.engine.run("wait", self.name, seconds=seconds)
        return int(done.stdout)

    def stop(self) -> int:
        """Ask it to end, as a node does, and return its exit status."""
        self.engine.docker("stop", "--time", "30", self.name)
        return int(self.inspect()["State"]["ExitCode"])


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine that listens on a socket."""

    socket: Path

    @property
    def command(self) -> tuple[str, ...]:
        return (os.environ["TEACHWHY_CONTAINER_CLIENT"], "--host", f"unix://{self.socket}")

    def run(self, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command of Docker, however it ends."""
        command = [*self.command, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)

    def docker(self, *arguments: str, seconds: float = 600) -> str:
        """Run a command of Docker to a good end and return what it said."""
        done = self.run(*arguments, seconds=seconds)
        if done.returncode:
            raise DockerFailed(f"docker {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout.strip()

    def start(
        self,
        name: str,
        image: str,
        *command: str,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        options: Sequence[str] = (),
    ) -> Container:
        """Start a container without any right, in the network that leads nowhere else.

        Args:
            name: its name, by which others in the network find it.
            image: its image.
            command: replaces what the image says behind its entry point.
            environment: variables.
            mounts: folders and files of this machine by path, read-only.
            options: further options of `docker run`.
        """
        mounted = [f"--volume={here}:{path}:ro" for path, here in (mounts or {}).items()]
        variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
        restricted = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
        limits = (f"--user={USER}:{USER}", "--tmpfs=/tmp:mode=1777", "--memory=2g")
        place = ("--detach", f"--name={name}", f"--network={NETWORK}")
        rest = (*mounted, *variables, *options, image, *command)
        self.docker("run", *place, *restricted, *limits, *rest)
        return Container(self, name)

    def remove(self, *containers: Container) -> None:
        """End containers without patience."""
        for each in containers:
            self.run("rm", "--force", "--volumes", each.name)


@contextmanager
def started_engine(folder: Path) -> Iterator[Engine]:
    """A running engine with one network, which keeps everything below ``folder``."""
    engine = Engine(folder / "docker.sock")
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd",
                f"--data-root={folder / 'data'}",
                f"--exec-root={folder / 'exec'}",
                f"--host=unix://{engine.socket}",
                f"--pidfile={folder / 'dockerd.pid'}",
                "--bridge=none",
                f"--cgroup-parent=/{folder.name}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(engine, process, folder / "dockerd.log")
        place = (f"--subnet={SUBNET}", f"--gateway={GATEWAY}")
        engine.docker("network", "create", "--internal", *place, NETWORK)
        yield engine
    finally:
        if names := engine.run("ps", "--all", "--quiet").stdout.split():
            engine.run("rm", "--force", "--volumes", *names)
        engine.run("network", "rm", NETWORK)
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while engine.run("version").returncode:
        words = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        assert process.poll() is None, f"dockerd ended with {process.poll()}:\n{words}"
        assert time.monotonic() < end, f"dockerd does not answer:\n{words}"
        time.sleep(POLL_SECONDS)
