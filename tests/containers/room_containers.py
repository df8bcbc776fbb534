"""Rooms in containers: how they are started, and how a test hears that they are ready."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.containers.engine import Container, Engine, until
from tests.servicekit.s3_server import S3Server
from tools.build_images import Image

PORTS = {"dataset": 50051, "rollout": 50052, "judge": 50053, "scoreboard": 50054}
METRICS_PORTS = {"dataset": 9101, "rollout": 9102, "judge": 9103, "scoreboard": 9104}
KEYS = "/run/secrets/store"
SERVING = int(health_pb2.HealthCheckResponse.SERVING)
NOT_SERVING = int(health_pb2.HealthCheckResponse.NOT_SERVING)
RESTARTED = ("--restart=unless-stopped",)


def store_settings(s3: S3Server, bucket: str, prefix: str) -> dict[str, str]:
    """What a process in a container is told of the bucket; its keys are files below ``KEYS``."""
    chosen = {
        "KIND": "s3",
        "ENDPOINT": f"store:{s3.endpoint.rpartition(':')[2]}",
        "BUCKET": bucket,
        "SECURE": "false",
        "ACCESS_KEY_FILE": f"{KEYS}/access_key",
        "SECRET_KEY_FILE": f"{KEYS}/secret_key",
        # A store that is away does not answer at all.
        "TIMEOUT_SECONDS": "2",
    }
    return {f"{prefix}_STORE__{name}": value for name, value in chosen.items()}


def write_keys(folder: Path, s3: S3Server) -> Path:
    """Write the keys of the bucket as the files of a secret."""
    folder.mkdir()
    (folder / "access_key").write_text(s3.access_key)
    (folder / "secret_key").write_text(s3.secret_key)
    folder.chmod(0o755)
    return folder


def health_of(container: Container, room: str) -> int | None:
    """What the room's gRPC health service says; None where it says nothing."""
    request = health_pb2.HealthCheckRequest(service=f"teachwhy.{room}.v1.{room.title()}Service")
    with grpc.insecure_channel(f"{container.address}:{PORTS[room]}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=2)
        except grpc.RpcError:
            return None
    return int(answer.status)


def is_serving(container: Container, room: str) -> bool:
    """Whether the room's gRPC health service says so."""
    return health_of(container, room) == SERVING


@contextmanager
def room_container(
    engine: Engine,
    image: Image,
    *,
    name: str = "",
    environment: Mapping[str, str] | None = None,
    is_ready: Callable[[Container, str], bool] = is_serving,
    **more: Any,
) -> Iterator[Container]:
    """A gRPC room that is ready; it is called like its image's room unless a name is given."""
    room = image.room
    told = {f"{room.upper()}_HOST": "0.0.0.0", **(environment or {})}
    container = engine.start(name or room, image.name, environment=told, **more)
    try:
        until(lambda: is_ready(container, room) or not container.is_running)
        assert container.is_running, container.said()
        yield container
    finally:
        engine.remove(container)


def status_of(address: str) -> int:
    """Status of the answer to a GET; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
