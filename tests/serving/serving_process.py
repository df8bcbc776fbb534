"""The serving room as a process of its own."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingProcess:
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return str(response.read().decode())

    def post(self, path: str, body: object = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def load(self, name: str) -> tuple[int, Any]:
        return self.post(f"/v2/repository/models/{name}/load")

    def unload(self, name: str) -> tuple[int, Any]:
        return self.post(f"/v2/repository/models/{name}/unload")

    def metric(self, sample: str) -> float:
        for line in self.get("/metrics").splitlines():
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        return 0.0


def wait_until(is_so: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Ask again and again until the answer is yes."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def environment(store: Path, cache: Path, **settings: str) -> dict[str, str]:
    chosen = {
        "SERVING_PORT": "0",
        "SERVING_STORE__ROOT": str(store),
        "SERVING_CACHE_FOLDER": str(cache),
        "SERVING_PARENT_PID": str(os.getpid()),
    }
    chosen.update({f"SERVING_{name.upper()}": value for name, value in settings.items()})
    return {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **chosen}


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.serving"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(store: Path, cache: Path, **settings: str) -> Iterator[ServingProcess]:
    process = start(environment(store, cache, **settings))
    try:
        yield ServingProcess(process=process, port=_port_when_ready(process))
    finally:
        process.kill()
        process.communicate()


def _port_when_ready(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "server.ready":
            return int(event["port"])
    raise AssertionError(f"it ended before it was ready: {process.communicate()[1]}")
