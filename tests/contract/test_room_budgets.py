"""A gRPC room is up within two seconds of work, stays small, and leaves when asked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.contract.tree import GRPC_ROOMS, ROOT

MAX_RESIDENT_BYTES = 80 * 2**20
# Processor time rather than the clock: the machine may be busy with other tests.
MAX_START_SECONDS = 2.0


class RunningRoom(NamedTuple):
    """A room that has said that it is ready."""

    name: str
    process: subprocess.Popen[str]
    port: int


@pytest.fixture(params=GRPC_ROOMS)
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningRoom]:
    name = str(request.param)
    prefix = name.upper()
    chosen = {f"{prefix}_PORT": "0", f"{prefix}_METRICS_PORT": "0", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{name}"],
        cwd=tmp_path,  # a store at its default place lies below it
        env={**os.environ, **chosen},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield RunningRoom(name, process, _port_when_ready(process))
    finally:
        process.kill()
        process.communicate()


def _port_when_ready(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if '"server.ready"' in line:
            return int(json.loads(line)["port"])
    pytest.fail(f"the room ended before it was ready:\n{said}")


def test_a_room_is_ready_within_its_time_and_its_memory(room: RunningRoom) -> None:
    process = psutil.Process(room.process.pid)
    times = process.cpu_times()

    assert process.memory_info().rss <= MAX_RESIDENT_BYTES
    assert times.user + times.system <= MAX_START_SECONDS


def test_a_ready_room_says_so_for_its_service_and_stops_when_asked(room: RunningRoom) -> None:
    service = f"teachwhy.{room.name}.v1.{room.name.title()}Service"
    with grpc.insecure_channel(f"127.0.0.1:{room.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    room.process.terminate()

    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert room.process.wait(timeout=30) == 0
