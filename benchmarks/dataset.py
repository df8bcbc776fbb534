"""Records a second of a two-call recipe, side by side with the peers that write synthetic data.

All talk to the same stub model server, which has a core of its own; each client has the other core,
with all its processes: ours are the dataset room and a client that receives the stream over gRPC.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc, recipe_pb2

from benchmarks.peers.environments import FOLDER, peer_python, peer_version
from benchmarks.processes import (
    CLIENT_CORE,
    SERVER_CORE,
    MemoryWatch,
    cpu_seconds,
    pinned,
    running,
    wait_for_line,
)
from benchmarks.results import Measure, Result, write_result
from services.servicekit.channel import open_channel

RUNS = 3
CONNECTIONS = 64
WARM_RECORDS = 256
RECORDS = {"teachwhy": 10_000, "distilabel": 1_000, "data-designer": 1_000}
SCRIPTS = {"distilabel": "distilabel_two_calls.py", "data-designer": "data_designer_two_calls.py"}
MIN_RATIOS = {"distilabel": 15.0, "data-designer": 8.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one system."""

    records_per_second: float
    cpu_ms_per_record: float
    peak_mib: float


def main() -> None:
    """Measure all systems in turn, three times over."""
    pythons = {name: peer_python(name) for name in SCRIPTS}
    found: defaultdict[str, list[Measured]] = defaultdict(list)
    with _stub() as url:
        for number in range(RUNS):
            found["teachwhy"].append(asyncio.run(_ours(url, seed=number)))
            for name, python in pythons.items():
                found[name].append(_peer(name, python, url))
            for name, runs in found.items():
                print(f"run {number + 1}: {name}: {runs[-1]}", flush=True)
    title = "A two-call recipe at 64 connections against a stub that answers at once, one core each"
    write_result(Result.of("dataset", title=title, measures=_measures(found)))


def _measures(found: dict[str, list[Measured]]) -> list[Measure]:
    ours = found["teachwhy"]
    peers = {peer_version(name): found[name] for name in SCRIPTS}
    return [
        Measure.of(
            "records",
            unit="records/s",
            better="higher",
            ours=[run.records_per_second for run in ours],
            peers={name: [run.records_per_second for run in runs] for name, runs in peers.items()},
        ),
        Measure.of(
            "CPU of a record",
            unit="ms",
            better="lower",
            ours=[run.cpu_ms_per_record for run in ours],
            peers={name: [run.cpu_ms_per_record for run in runs] for name, runs in peers.items()},
        ),
        Measure.of(
            "memory of all processes, at its peak",
            unit="MiB",
            better="lower",
            ours=[run.peak_mib for run in ours],
            peers={name: [run.peak_mib for run in runs] for name, runs in peers.items()},
        ),
    ]


@contextmanager
def _stub() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.stub_model_server", "0"]
    with running(command, core=SERVER_CORE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


def _peer(name: str, python: Path, url: str) -> Measured:
    script = FOLDER / SCRIPTS[name]
    command = [str(python), str(script), url, str(RECORDS[name]), str(CONNECTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            pinned(command, CLIENT_CORE),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with MemoryWatch([process.pid]) as memory:
            said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{name} ended with exit status {process.returncode}")
    result = json.loads(said.splitlines()[-1])
    if result["records"] != RECORDS[name]:
        raise SystemExit(f"{name} wrote {result['records']} of {RECORDS[name]} records")
    return Measured(
        records_per_second=result["records"] / result["seconds"],
        cpu_ms_per_record=1000 * result["cpu_seconds"] / result["records"],
        peak_mib=memory.peak_mib,
    )


async def _ours(url: str, *, seed: int) -> Measured:
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            "DATASET_PORT": "0",
            "DATASET_METRICS_PORT": "0",
            "DATASET_DRAIN_PAUSE_SECONDS": "0",
            "DATASET_MAX_CONCURRENCY": str(CONNECTIONS),
            "DATASET_ENDPOINTS": json.dumps(
                {"stub": {"base_url": url, "max_connections": CONNECTIONS}}
            ),
            "DATASET_STORE__ROOT": str(Path(folder) / "store"),
            "DATASET_CACHE_FOLDER": str(Path(folder) / "cache"),
        }
        command = [sys.executable, "-m", "services.dataset"]
        with running(command, core=CLIENT_CORE, environment=variables) as room:
            ready = json.loads(wait_for_line(room, "server.ready"))
            async with open_channel(f"127.0.0.1:{ready['port']}") as channel:
                stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
                await _receive(stub, WARM_RECORDS, seed=seed + 1000)
                with MemoryWatch([room.pid, os.getpid()]) as memory:
                    cpu, begun = _cpu(room.pid), time.perf_counter()
                    await _receive(stub, RECORDS["teachwhy"], seed=seed)
                    seconds = time.perf_counter() - begun
                    cpu = _cpu(room.pid) - cpu
    os.sched_setaffinity(0, {SERVER_CORE, CLIENT_CORE})
    return Measured(
        records_per_second=RECORDS["teachwhy"] / seconds,
        cpu_ms_per_record=1000 * cpu / RECORDS["teachwhy"],
        peak_mib=memory.peak_mib,
    )


def _cpu(room: int) -> float:
    """CPU of the room and of its client."""
    return cpu_seconds(room) + cpu_seconds(os.getpid())


async def _receive(
    stub: "dataset_service_pb2_grpc.DatasetServiceAsyncStub", num_records: int, *, seed: int
) -> None:
    """Receive so many examples; a rejection is none."""
    spec = recipe_pb2.DatasetSpec(
        recipe="values-questions",
        seed=seed,
        token_budget=10**12,
        language_model=recipe_pb2.LanguageModelAuthor(
            model=model_pb2.ModelRef(endpoint="stub", model="stub"),
            omitted_stages=["final-rewrite", "filter"],
        ),
    )
    call = stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=spec))
    received = 0
    async for response in call:
        for item in response.items:
            if item.WhichOneof("item") != "example":
                raise SystemExit(f"an item was rejected: {item.rejection}")
        received += len(response.items)
        if received >= num_records:
            call.cancel()
            return
    raise SystemExit(f"the stream ended after {received} of {num_records} records")


if __name__ == "__main__":
    main()
