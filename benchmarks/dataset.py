"""Records a second of a two-call recipe, side by side with the peers that write synthetic data.

All talk to the same stub model server, which has a core of its own; each client has the other core,
with all its processes: ours are the dataset room and a client that receives the stream over gRPC.
"""

import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import (
    audit_pb2,
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    recipe_pb2,
)

from benchmarks.gate_examples import ExampleWriter, all_gates_but_the_judge
from benchmarks.peers.environments import FOLDER, peer_python, peer_version
from benchmarks.processes import (
    CLIENT_CORE,
    SERVER_CORE,
    MemoryWatch,
    cpu_of_both,
    cpu_seconds,
    on_core,
    run_peer,
    running_room,
    stub_model,
)
from benchmarks.results import Measure, Result, write_result
from services.servicekit.channel import open_channel

RUNS = 3
CONNECTIONS = 64
WARM_RECORDS = 256
RECORDS = {"teachwhy": 10_000, "distilabel": 1_000, "data-designer": 1_000}
SCRIPTS = {"distilabel": "distilabel_two_calls.py", "data-designer": "data_designer_two_calls.py"}
MIN_RATIOS = {"distilabel": 15.0, "data-designer": 8.0}
GATE_RUNS = 2
GATES_WITHOUT_JUDGE = 5
GATED_EXAMPLES = 100_000
EXAMPLES_A_MESSAGE = 500
MIN_GATED_PER_SECOND = 2000
MAX_GATE_MIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one system."""

    records_per_second: float
    cpu_ms_per_record: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesMeasured:
    """One audit."""

    examples_per_cpu_second: float
    peak_mib: float


def main() -> None:
    """Measure all systems in turn, three times over."""
    pythons = {name: peer_python(name) for name in SCRIPTS}
    found: defaultdict[str, list[Measured]] = defaultdict(list)
    with stub_model() as url:
        for number in range(RUNS):
            found["teachwhy"].append(asyncio.run(_ours(url, seed=number)))
            for name, python in pythons.items():
                found[name].append(_peer(name, python, url))
            for name, runs in found.items():
                print(f"run {number + 1}: {name}: {runs[-1]}", flush=True)
        gates = [asyncio.run(_gates()) for _ in range(GATE_RUNS)]
    title = "A two-call recipe at 64 connections against a stub that answers at once, one core each"
    measures = [*_measures(found), *_gate_measures(gates)]
    write_result(Result.of("dataset", title=title, measures=measures))


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
            min_ratio_by_peer={peer_version(name): ratio for name, ratio in MIN_RATIOS.items()},
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


def _gate_measures(runs: list[GatesMeasured]) -> list[Measure]:
    return [
        Measure.of(
            f"{GATED_EXAMPLES:,} chats of 400 words through all gates but the judge's",
            unit="examples per CPU second",
            better="higher",
            ours=[run.examples_per_cpu_second for run in runs],
            limit=MIN_GATED_PER_SECOND,
        ),
        Measure.of(
            "memory of the room meanwhile, at its peak",
            unit="MiB",
            better="lower",
            ours=[run.peak_mib for run in runs],
            limit=MAX_GATE_MIB,
        ),
    ]


def _peer(name: str, python: Path, url: str) -> Measured:
    script = FOLDER / SCRIPTS[name]
    command = [str(python), str(script), url, str(RECORDS[name]), str(CONNECTIONS)]
    result, peak_mib = run_peer(command, core=CLIENT_CORE)
    if result["records"] != RECORDS[name]:
        raise SystemExit(f"{name} wrote {result['records']} of {RECORDS[name]} records")
    return Measured(
        records_per_second=result["records"] / result["seconds"],
        cpu_ms_per_record=1000 * result["cpu_seconds"] / result["records"],
        peak_mib=peak_mib,
    )


@contextmanager
def _room(url: str) -> Iterator[tuple[int, str]]:
    """The dataset room on the clients' core: its process id and its address."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            "MAX_CONCURRENCY": str(CONNECTIONS),
            "ENDPOINTS": json.dumps({"stub": {"base_url": url, "max_connections": CONNECTIONS}}),
            "STORE__ROOT": str(Path(folder) / "store"),
            "CACHE_FOLDER": str(Path(folder) / "cache"),
        }
        with running_room("dataset", variables, core=CLIENT_CORE) as room:
            yield room


async def _ours(url: str, *, seed: int) -> Measured:
    with on_core(CLIENT_CORE), _room(url) as (room, address):
        async with open_channel(address) as channel:
            stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
            await _receive(stub, WARM_RECORDS, seed=seed + 1000)
            with MemoryWatch([room, os.getpid()]) as memory:
                cpu, begun = cpu_of_both(room), time.perf_counter()
                await _receive(stub, RECORDS["teachwhy"], seed=seed)
                seconds = time.perf_counter() - begun
                cpu = cpu_of_both(room) - cpu
    return Measured(
        records_per_second=RECORDS["teachwhy"] / seconds,
        cpu_ms_per_record=1000 * cpu / RECORDS["teachwhy"],
        peak_mib=memory.peak_mib,
    )


async def _gates() -> GatesMeasured:
    """Audit a dataset in the room; its examples are made and sent from the other core."""
    with on_core(SERVER_CORE), _room("http://127.0.0.1:1/v1") as (room, address):
        async with open_channel(address) as channel:
            stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
            with MemoryWatch([room]) as memory:
                cpu = cpu_seconds(room)
                report = await stub.AuditDataset(_audited())
                cpu = cpu_seconds(room) - cpu
    if sum(gate.ran for gate in report.gates) != GATES_WITHOUT_JUDGE:
        raise SystemExit(f"not every gate ran: {report.gates}")
    return GatesMeasured(examples_per_cpu_second=GATED_EXAMPLES / cpu, peak_mib=memory.peak_mib)


def _audited() -> Iterator[audit_pb2.AuditDatasetRequest]:
    yield audit_pb2.AuditDatasetRequest(settings=all_gates_but_the_judge())
    contrast = islice(ExampleWriter(seed=2).examples(), EXAMPLES_A_MESSAGE)
    yield audit_pb2.AuditDatasetRequest(contrast=audit_pb2.ExampleBatch(examples=contrast))
    ours = islice(ExampleWriter(seed=0).examples(), GATED_EXAMPLES)
    while batch := list(islice(ours, EXAMPLES_A_MESSAGE)):
        yield audit_pb2.AuditDatasetRequest(examples=audit_pb2.ExampleBatch(examples=batch))


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
