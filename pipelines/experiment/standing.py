"""Services that outlive the command that started them: `up` and `down`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipelines.experiment.local_services import (
    HOST,
    STOP_SECONDS,
    ServiceSpec,
    service_environment,
    service_specs,
)
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.rollout_endpoints import operator_hosts

READY_SECONDS = 60.0
POLL_SECONDS = 0.1


class ServicesStanding(Exception):
    """The services cannot be started or stopped as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingService:
    """A service that was started."""

    name: str
    address: str
    metrics: str
    pid: int
    log: Path


async def start_services(
    places: RunPlaces, *, ports: Mapping[str, int], metrics_ports: Mapping[str, int]
) -> list[StandingService]:
    """Start every service and wait until all listen.

    Args:
        places: store, caches and logs.
        ports: main port by service.
        metrics_ports: metrics port by gRPC room.

    Raises:
        ServicesStanding: they run already, or one of them did not start; then none is left.
    """
    runs_folder = places.runs
    await asyncio.to_thread(runs_folder.mkdir, parents=True, exist_ok=True)
    if alive := _alive(runs_folder):
        raise ServicesStanding(f"already running: {', '.join(alive)}; `make down` stops them")
    specs = service_specs(
        places,
        ports=ports,
        metrics_ports=metrics_ports,
        parent_pid=None,
        hosts=operator_hosts(),
    )
    processes = {name: _spawn(spec, runs_folder / "logs") for name, spec in specs.items()}
    _remember(runs_folder, {name: process.pid for name, process in processes.items()})
    for name, spec in specs.items():
        if not await _listens(spec.port, processes[name]):
            await stop_services(runs_folder)
            log = runs_folder / "logs" / f"{name}.log"
            words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise ServicesStanding(
                f"{name} did not start, so none was left running; ports are settings, "
                f"for example PIPELINES_PORTS__{name.upper()}; {log} ends:\n  " + "\n  ".join(words)
            )
    return [_row(name, spec, processes[name].pid, runs_folder) for name, spec in specs.items()]


async def stop_services(runs_folder: Path) -> list[str]:
    """Stop what `start_services` started; return a line for each."""
    alive = _alive(runs_folder)
    for pid in alive.values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = asyncio.get_running_loop().time() + STOP_SECONDS
    # Other processes' ends raise no event here.
    while _alive(runs_folder) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    for pid in _alive(runs_folder).values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _file(runs_folder).unlink(missing_ok=True)
    return [f"stopped {name} ({pid})" for name, pid in alive.items()] or ["nothing was running"]


def _row(name: str, spec: ServiceSpec, pid: int, runs_folder: Path) -> StandingService:
    metrics = f"http://{HOST}:{spec.metrics_port}/metrics"
    scheme = "http://" if name == "serving" else ""
    log = runs_folder / "logs" / f"{name}.log"
    return StandingService(
        name=name, address=f"{scheme}{HOST}:{spec.port}", metrics=metrics, pid=pid, log=log
    )


def _spawn(spec: ServiceSpec, logs: Path) -> subprocess.Popen[bytes]:
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{spec.name}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 (our own module, our own interpreter)
            spec.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=service_environment(spec),
            start_new_session=True,
        )


async def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    while process.poll() is None and asyncio.get_running_loop().time() < deadline:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            await asyncio.sleep(POLL_SECONDS)  # a service that lost its port has ended by now
            return process.poll() is None
        await asyncio.sleep(POLL_SECONDS)
    return False


def _file(runs_folder: Path) -> Path:
    return runs_folder / "services.json"


def _remember(runs_folder: Path, pids: dict[str, int]) -> None:
    _file(runs_folder).write_bytes(orjson.dumps(pids, option=orjson.OPT_INDENT_2))


def _alive(runs_folder: Path) -> dict[str, int]:
    """Pids by service of those that still are our processes, not others with the same pid."""
    path = _file(runs_folder)
    if not path.exists():
        return {}
    pids: dict[str, int] = orjson.loads(path.read_bytes())
    return {name: pid for name, pid in pids.items() if _is_service(pid, name)}


def _is_service(pid: int, name: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return f"services.{name}".encode() in command and state != "Z"
