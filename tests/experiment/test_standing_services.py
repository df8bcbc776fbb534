"""`up` leaves the services running, `down` stops them, and a taken port is said plainly."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import orjson
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pipelines.experiment.local_services import GRPC_ROOMS, HOST, free_ports
from tests.experiment.tiny_run import assert_gone

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Machine:
    """A runs folder and ports that nobody else uses."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        names = (*GRPC_ROOMS, "serving", *(f"{room} metrics" for room in GRPC_ROOMS))
        self.ports = free_ports(names)

    def pipelines(self, command: str) -> subprocess.CompletedProcess[str]:
        rooms = {
            f"PIPELINES_PORTS__{name.upper()}": str(self.ports[name])
            for name in (*GRPC_ROOMS, "serving")
        }
        metrics = {
            f"PIPELINES_METRICS_PORTS__{name.upper()}": str(self.ports[f"{name} metrics"])
            for name in GRPC_ROOMS
        }
        return subprocess.run(
            [sys.executable, "-m", "pipelines", command],
            cwd=ROOT,
            env={**os.environ, **rooms, **metrics, "PIPELINES_RUNS_FOLDER": str(self.runs)},
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        pids = orjson.loads((self.runs / "services.json").read_bytes()).values()
        return [psutil.Process(pid) for pid in pids]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "runs")
    yield machine
    machine.pipelines("down")


def test_services_outlive_the_command_that_started_them_until_they_are_stopped(
    machine: Machine,
) -> None:
    up = machine.pipelines("up")

    assert up.returncode == 0, up.stderr
    for name in GRPC_ROOMS:
        assert f"{HOST}:{machine.ports[name]}" in up.stdout
        with grpc.insecure_channel(f"{HOST}:{machine.ports[name]}") as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=20
            )
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        url = f"http://{HOST}:{machine.ports[f'{name} metrics']}/metrics"
        with urllib.request.urlopen(url) as metrics:
            assert b"teachwhy_" in metrics.read()
    url = f"http://{HOST}:{machine.ports['serving']}/openai/v1/models"
    with urllib.request.urlopen(url) as models:
        assert orjson.loads(models.read()) == {"object": "list", "data": []}

    again = machine.pipelines("up")
    assert again.returncode == 1
    assert again.stderr.startswith("already running: dataset, rollout, judge, scoreboard, serving;")

    started = machine.processes()
    down = machine.pipelines("down")
    assert down.stdout.count("stopped ") == len(started)
    assert_gone(started)
    assert machine.pipelines("down").stdout == "nothing was running\n"


def test_a_port_in_use_is_said_with_its_setting_and_nothing_is_left_running(
    machine: Machine,
) -> None:
    with socket.create_server((HOST, machine.ports["judge"])):
        up = machine.pipelines("up")

    assert up.returncode == 1
    assert up.stderr.startswith("judge did not start, so none was left running;")
    assert "PIPELINES_PORTS__JUDGE" in up.stderr
    assert "the address is in use" in up.stderr
    assert machine.pipelines("down").stdout == "nothing was running\n"


def test_a_port_beyond_the_last_one_is_refused_by_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "runs")
    machine.ports["serving"] = 70_000

    up = machine.pipelines("up")

    assert up.returncode == 2
    assert "PIPELINES_PORTS__SERVING" in up.stderr
    assert not machine.runs.exists()
