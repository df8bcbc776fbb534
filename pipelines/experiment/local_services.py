"""Runs the services as processes of this machine, and starts them again when they die."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipelines.experiment.places import RunPlaces
from pipelines.experiment.rollout_endpoints import DEFAULT, RolloutHosts
from pipelines.experiment.rooms import RoomAddresses
from pipelines.experiment.settings import inherited_environment
from services.servicekit.storage.settings import StoreSettings

HOST = "127.0.0.1"
GRPC_ROOMS = ("dataset", "rollout", "judge", "scoreboard")
PORTS = range(20_000, 32_768)
RESTARTS = 10
READY_SECONDS = 60.0
POLL_SECONDS = 0.05
STOP_SECONDS = 8.0


class ServiceFailed(Exception):
    """A service did not start or kept dying. The message names it and its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """How one service process is started."""

    name: str
    port: int
    metrics_port: int
    """The same as ``port`` for a service that has one port for all."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", f"services.{self.name}"]


def service_specs(
    places: RunPlaces,
    *,
    ports: Mapping[str, int],
    metrics_ports: Mapping[str, int],
    parent_pid: int | None,
    hosts: RolloutHosts,
) -> dict[str, ServiceSpec]:
    """Describe all services of one machine over the store of ``places``.

    Args:
        places: store, caches and logs.
        ports: main port by service.
        metrics_ports: metrics port by gRPC room.
        parent_pid: the process that starts them and with which they end; None: they stay.
        hosts: model hosts of the rollout room beside the model server.
    """
    store, runs_folder = _as_variable(places.store_settings), places.runs
    serving_url = f"http://{HOST}:{ports['serving']}/openai/v1"
    judge_cache = (runs_folder / "judge-cache").resolve()
    special = {
        "dataset": {
            "STORE": store,
            "CACHE_FOLDER": str((runs_folder / "dataset-cache").resolve()),
            "JUDGE": f"{HOST}:{ports['judge']}",
        },
        "judge": {"STORE": store, "CACHE_FOLDER": str(judge_cache)},
        "rollout": _rollout_variables(hosts, serving_url, store, runs_folder),
        "scoreboard": {"STORE": store},
        "serving": {
            "STORE": store,
            "CACHE_FOLDER": str((runs_folder / "serving-cache").resolve()),
            "MAX_LOADED_MODELS": "64",
        },
    }
    specs = {}
    for name, port in ports.items():
        variables = {"PORT": str(port), **special.get(name, {})}
        if name in metrics_ports:
            variables["METRICS_PORT"] = str(metrics_ports[name])
            variables["DRAIN_PAUSE_SECONDS"] = "0"
        if parent_pid is not None:
            variables["PARENT_PID"] = str(parent_pid)
        environment = {f"{name.upper()}_{key}": value for key, value in variables.items()}
        specs[name] = ServiceSpec(
            name=name,
            port=port,
            metrics_port=metrics_ports.get(name, port),
            environment=environment,
        )
    return specs


def _as_variable(store: StoreSettings) -> str:
    """Write the settings of a store for the environment of a service, its secret key included."""
    values = store.model_dump(mode="json", exclude_unset=True)
    if secret := store.secret_key.get_secret_value():
        values["secret_key"] = secret
    return json.dumps(values)


def _rollout_variables(
    hosts: RolloutHosts, serving_url: str, store: str, runs_folder: Path
) -> dict[str, str]:
    endpoints = {
        DEFAULT: {"base_url": serving_url},
        **{
            name: endpoint.model_dump(mode="json", exclude_unset=True)
            for name, endpoint in hosts.endpoints.items()
        },
    }
    variables = {"ENDPOINTS": json.dumps(endpoints)}
    if hosts.keeps_replies:
        variables["STORE"] = store
        variables["CACHE_FOLDER"] = str((runs_folder / "rollout-cache").resolve())
    return variables


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """Find a free loopback port for each name.

    They lie below those that the system gives to outgoing connections: one of these could take a
    port before its service does, or while its service is started again.
    """
    with ExitStack() as held:
        return {name: _hold_a_port(held) for name in names}


def _hold_a_port(held: ExitStack) -> int:
    """Take a port until the stack is closed."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - spreads, hides nothing
        with suppress(OSError):
            held.enter_context(socket.create_server((HOST, port)))
            return port


class LocalServices:
    """The services of one run; an asynchronous context manager.

    The gRPC rooms start on entering, serving when ``ensure_serving`` is first awaited.
    A service that dies is started again on its port, up to ``RESTARTS`` times.
    """

    def __init__(self, places: RunPlaces, hosts: RolloutHosts | None = None) -> None:
        self._logs = places.runs / "logs"
        ports = free_ports((*GRPC_ROOMS, "serving"))
        metrics_ports = dict.fromkeys(GRPC_ROOMS, 0)
        self._specs = service_specs(
            places,
            ports=ports,
            metrics_ports=metrics_ports,
            parent_pid=os.getpid(),
            hosts=hosts or RolloutHosts(),
        )
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._serving_lock = asyncio.Lock()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def addresses(self) -> RoomAddresses:
        """Where the gRPC rooms listen."""
        at = {room: f"{HOST}:{self._specs[room].port}" for room in GRPC_ROOMS}
        return RoomAddresses(
            dataset=at["dataset"],
            rollout=at["rollout"],
            judge=at["judge"],
            scoreboard=at["scoreboard"],
        )

    @property
    def serving_url(self) -> str:
        """Base URL of the model server."""
        return f"http://{HOST}:{self._specs['serving'].port}"

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(self._start(room) for room in GRPC_ROOMS))
        await asyncio.gather(*(self._wait_until_listening(room) for room in GRPC_ROOMS))
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*(self._stop(process) for process in self._processes.values()))
        if not self.failure.done():
            self.failure.cancel()

    async def ensure_serving(self) -> None:
        """Start the model server if it is not there, and wait until it listens."""
        async with self._serving_lock:
            if "serving" not in self._processes:
                await self._start("serving")
            await self._wait_until_listening("serving")

    async def _start(self, name: str) -> None:
        await self._spawn(name)
        self._keepers[name] = asyncio.create_task(self._keep(name))

    async def _spawn(self, name: str) -> None:
        spec = self._specs[name]
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=service_environment(spec),
            )

    async def _keep(self, name: str) -> None:
        """Start the service again whenever it dies."""
        for _ in range(RESTARTS):
            code = await self._processes[name].wait()
            if code in {1, 2}:  # it refused to start; another try would be refused as well
                break
            await self._spawn(name)
        else:
            code = await self._processes[name].wait()
        self._fail(f"{name} ended with exit status {code}; {self._last_words(name)}")

    def _fail(self, message: str) -> None:
        if not self.failure.done():
            self.failure.set_exception(ServiceFailed(message))

    async def _wait_until_listening(self, name: str) -> None:
        spec = self._specs[name]
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self.failure.done():
                self.failure.result()
            with suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, spec.port)
                writer.close()
                return
            await asyncio.sleep(POLL_SECONDS)
        raise ServiceFailed(f"{name} does not listen after {READY_SECONDS:g} s; see its log")

    def _last_words(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-4:]
        return f"its log {path} ends:\n  " + "\n  ".join(line[:400] for line in lines)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def service_environment(spec: ServiceSpec) -> dict[str, str]:
    """Build the environment of a service: this process's, less what is set for it here.

    The operator's own settings of a service, such as its model hosts, reach it.
    """
    inherited = {
        key: value
        for key, value in inherited_environment().items()
        if not any(
            key.upper() == ours or key.upper().startswith(f"{ours}__") for ours in spec.environment
        )
    }
    return {**inherited, "OMP_NUM_THREADS": "1", **spec.environment}
