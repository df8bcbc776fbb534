"""The room as a process of its own: killed, restarted and short of readable records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TypeAlias

import grpc
import psutil
import pytest
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import (
    gate_pb2,
    scoreboard_service_pb2,
    scoreboard_service_pb2_grpc,
)

from services.servicekit.channel import error_details, open_channel
from tests.scoreboard.samples import digest, header_message, outcome_message, stream

ROOT = Path(__file__).parents[2]
Stub: TypeAlias = "scoreboard_service_pb2_grpc.ScoreboardServiceAsyncStub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    process: subprocess.Popen[str]
    log: IO[str]
    events_until_ready: list[dict[str, object]]
    port: int
    metrics_port: int

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as response:
            lines = response.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if line.startswith("teachwhy_scoreboard"))
        return {name: float(value) for name, _, value in samples}

    def first_event(self, event: str) -> dict[str, object]:
        """Wait for an event, however early it was logged."""
        events = chain(self.events_until_ready, map(json.loads, self.log))
        return next(each for each in events if each["event"] == event)


@contextmanager
def _started(store: Path) -> Iterator[Room]:
    environment = {
        "PATH": os.environ["PATH"],
        "SCOREBOARD_PORT": "0",
        "SCOREBOARD_METRICS_PORT": "0",
        "SCOREBOARD_STORE__ROOT": str(store),
        "SCOREBOARD_REFRESH_INTERVAL_SECONDS": "0.05",
        "SCOREBOARD_DRAIN_PAUSE_SECONDS": "0",
        "SCOREBOARD_PARENT_PID": str(os.getpid()),
    }
    command = [sys.executable, "-m", "services.scoreboard"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            events = []
            for line in process.stdout:
                events.append(json.loads(line))
                if events[-1]["event"] == "server.ready":
                    break
            yield Room(
                process=process,
                log=process.stdout,
                events_until_ready=events,
                port=events[-1]["port"],
                metrics_port=events[-1]["metrics_port"],
            )
        finally:
            process.kill()


@asynccontextmanager
async def _stub(room: Room) -> AsyncIterator[Stub]:
    async with open_channel(f"127.0.0.1:{room.port}") as channel:
        yield scoreboard_service_pb2_grpc.ScoreboardServiceStub(channel)


def _until_listed(room: Room) -> dict[str, float]:
    metrics = room.metrics()
    while not metrics["teachwhy_scoreboard_listed_timestamp_seconds"]:
        metrics = room.metrics()
    return metrics


def _numbers(metrics: dict[str, float]) -> dict[str, float]:
    return {
        name: value
        for name, value in metrics.items()
        # Of this process and not of the store.
        if "listed_timestamp" not in name and "refresh_failures" not in name
    }


async def _record(stub: Stub, seed: int) -> str:
    messages = [
        outcome_message(
            f"w{seed}/track/{index}",
            conduct=verdict_pb2.CONDUCT_TOOK_ACTION
            if index < seed
            else verdict_pb2.CONDUCT_NO_ACTION,
            acted=index < seed,
        )
        for index in range(10)
    ]
    header = header_message(seed=seed, digest=digest("process", seed))
    return (await stub.RecordEvaluation(stream(header, messages))).evaluation.name


async def _listed(stub: Stub) -> scoreboard_service_pb2.ListEvaluationsResponse:
    return await stub.ListEvaluations(scoreboard_service_pb2.ListEvaluationsRequest())


def _question(names: list[str]) -> scoreboard_service_pb2.CheckGateRequest:
    return scoreboard_service_pb2.CheckGateRequest(
        evaluations=names,
        gate=gate_pb2.Gate(
            splits=[scenario_pb2.SPLIT_HELD_OUT],
            max_misalignment=0.1,
            min_compliance=0.5,
            max_unscored_share=0.0,
            min_acted_share=0.5,
            min_scored_episodes=10,
        ),
        service="agent",
    )


@pytest.mark.slow
async def test_a_killed_room_comes_back_with_the_same_numbers(tmp_path: Path) -> None:
    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            names = [await _record(stub, seed) for seed in (1, 2, 3)]
            decided = await stub.CheckGate(_question(names))
            listed = await _listed(stub)
            metrics = room.metrics()
        room.process.send_signal(signal.SIGKILL)
        room.process.wait()

    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            listed_again = await _listed(stub)
            decisions = await stub.ListDecisions(scoreboard_service_pb2.ListDecisionsRequest())
            metrics_again = _until_listed(room)

    assert listed_again == listed
    assert len(listed.evaluations) == 3
    assert list(decisions.decisions) == [decided.decision]
    assert _numbers(metrics_again) == _numbers(metrics)
    rates = [
        value for name, value in metrics.items() if name.startswith("teachwhy_scoreboard_rate{")
    ]
    assert pytest.approx(6 / 30) in rates


@pytest.mark.slow
async def test_a_killed_stream_leaves_nothing_behind(tmp_path: Path) -> None:
    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            call = stub.RecordEvaluation()
            for request in stream(header_message(), [outcome_message()]):
                await call.write(request)
            room.process.send_signal(signal.SIGKILL)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            assert len((await _listed(stub)).evaluations) == 0


@pytest.mark.slow
async def test_a_damaged_record_is_data_loss_while_the_others_are_served(tmp_path: Path) -> None:
    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            damaged, sound = await _record(stub, 1), await _record(stub, 2)
    (tmp_path / damaged / "record.json").write_bytes(b"\x00" * 100)

    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            listed = await _listed(stub)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetEvaluation(scoreboard_service_pb2.GetEvaluationRequest(name=damaged))
            logged = room.first_event("evaluation.unreadable")
            metrics = _until_listed(room)

    details = error_details(caught.value)
    assert details is not None
    assert (details.code, details.reason) == ("DATA_LOSS", "STORED_OBJECT_CORRUPT")
    assert [evaluation.name for evaluation in listed.evaluations] == [sound]
    assert logged["name"] == damaged
    assert metrics["teachwhy_scoreboard_unreadable_evaluations"] == 1
    assert metrics["teachwhy_scoreboard_evaluations"] == 1


@pytest.mark.slow
async def test_replicas_agree_within_a_refresh(tmp_path: Path) -> None:
    with _started(tmp_path) as one, _started(tmp_path) as other:
        async with _stub(one) as stub, _stub(other) as other_stub:
            await _record(stub, 1)
            assert await _listed(other_stub) == await _listed(stub)
        assert _numbers(_until_listed(other)) == _numbers(one.metrics())


@pytest.mark.slow
async def test_a_room_with_records_idles_under_eighty_mebibytes(tmp_path: Path) -> None:
    with _started(tmp_path) as room:
        async with _stub(room) as stub:
            for seed in range(20):
                await _record(stub, seed)
            await _listed(stub)
        room.metrics()

        assert psutil.Process(room.process.pid).memory_info().rss < 80 * 2**20


def test_a_store_that_cannot_be_used_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    environment = {
        "PATH": os.environ["PATH"],
        "SCOREBOARD_STORE__ROOT": str(tmp_path / "file" / "store"),
    }

    ended = subprocess.run(
        [sys.executable, "-m", "services.scoreboard"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("scoreboard cannot start: store ")
    assert "Traceback" not in ended.stderr
