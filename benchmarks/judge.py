"""Judgements a second of a language model's judge, side by side with inspect_ai's model_graded_qa.

All ask the same stub model server, which has a core of its own, about the same transcripts, each
under its own grading prompt, of which ours is the longest; and all keep every judgement on disk.
Each has the other core, with all its processes: ours are the judge room and a client that streams
episodes over gRPC and writes the verdicts into shards as an experiment does.

Then without a model: the ledger layer, and the comparison of two large evaluations.
"""

import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from teachwhy.common.v1 import model_pb2
from teachwhy.judge.v1 import judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from benchmarks.evaluation_pairs import ComparisonMeasured, compared
from benchmarks.gold_transcripts import episodes, sample_of
from benchmarks.peers.environments import FOLDER, peer_python, peer_version
from benchmarks.processes import (
    CLIENT_CORE,
    MemoryWatch,
    cpu_of_both,
    on_core,
    run_peer,
    running_room,
    stub_model,
)
from benchmarks.results import Measure, Result, write_result
from benchmarks.stub_model_server import REPLY
from benchmarks.verdict_stream import keep_verdicts
from services.judge.asking.rubric_file import shipped_rubrics
from services.judge.convert import record_from_proto, verdict_to_proto
from services.judge.rubric import agentic_ledger
from services.servicekit.channel import open_channel

RUNS = 3
CONNECTIONS = 64
WARM_EPISODES = 512
EPISODES = 10_000
LEDGER_EPISODES = 50_000
PEER = "inspect_ai"
PEER_EPISODES = 1_000
PEER_REPLY = f"{REPLY}\n\nGRADE: C"
PEER_WAYS = {"eval": "eval()", "lean": "eval(), lean", "score": "score()"}
MIN_RATIOS = {"eval": 20.0, "score": 8.0}
MIN_LEDGER_PER_SECOND = 5_000
COMPARED_EPISODES = 100_000
MAX_COMPARISON_SECONDS = 5
MAX_COMPARISON_MIB = 1024
RUBRIC = "agent-conduct"
PANEL = verdict_pb2.Panel(
    rubric=RUBRIC, members=[model_pb2.ModelRef(endpoint="stub", model="stub")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one system."""

    judgements_per_second: float
    unkept_per_second: float
    """Without the writing, where that is a step of its own; else the same."""
    cpu_ms_per_judgement: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMeasured:
    """One run of the ledger layer alone, in this process and through the room."""

    episodes_per_cpu_second: float
    streamed_per_second: float


def main() -> None:
    """Measure all in turn, three times over, and then what needs no model."""
    python = peer_python(PEER)
    told = episodes()
    found: defaultdict[str, list[Measured]] = defaultdict(list)
    ledger = []
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.json"
        samples.write_text(json.dumps([sample_of(episode) for episode in told]))
        for number in range(RUNS):
            found["teachwhy"].append(asyncio.run(_ours(told, EPISODES)))
            for way in PEER_WAYS:
                found[way].append(_peer(python, samples, way))
            for name, runs in found.items():
                print(f"run {number + 1}: {name}: {runs[-1]}", flush=True)
            ledger.append(_ledger(told))
            print(f"run {number + 1}: ledger: {ledger[-1]}", flush=True)
    comparisons = asyncio.run(compared(COMPARED_EPISODES, runs=RUNS))
    print(f"comparisons: {comparisons}", flush=True)
    title = (
        "A judge's opinion of an episode, at 64 connections against a stub that answers at once, "
        "one core each; the same transcripts for all, of 4,500 characters, and our prompt longer "
        "by a rubric of 6,000"
    )
    measures = [*_measures(found), *_ledger_measures(ledger), *_comparison_measures(comparisons)]
    write_result(Result.of("judge", title=title, measures=measures))


def _measures(found: Mapping[str, Sequence[Measured]]) -> list[Measure]:
    ours = found["teachwhy"]
    peers = {_peer_name(way): found[way] for way in PEER_WAYS}
    speeds = {name: [run.judgements_per_second for run in runs] for name, runs in peers.items()}
    unkept = f"{_peer_name('score')}, its log not written"
    speeds[unkept] = [run.unkept_per_second for run in found["score"]]
    min_ratios = {_peer_name(way): ratio for way, ratio in MIN_RATIOS.items()}
    return [
        Measure.of(
            "judgements, all kept",
            unit="judgements/s",
            better="higher",
            ours=[run.judgements_per_second for run in ours],
            peers=speeds,
            min_ratio_by_peer={**min_ratios, unkept: MIN_RATIOS["score"]},
        ),
        Measure.of(
            "CPU of a judgement",
            unit="ms",
            better="lower",
            ours=[run.cpu_ms_per_judgement for run in ours],
            peers={
                name: [run.cpu_ms_per_judgement for run in runs] for name, runs in peers.items()
            },
        ),
        Measure.of(
            "memory of all processes, at its peak",
            unit="MiB",
            better="lower",
            ours=[run.peak_mib for run in ours],
            peers={name: [run.peak_mib for run in runs] for name, runs in peers.items()},
        ),
    ]


def _ledger_measures(runs: Sequence[LedgerMeasured]) -> list[Measure]:
    return [
        Measure.of(
            "the ledger layer alone, in process",
            unit="episodes per CPU second",
            better="higher",
            ours=[run.episodes_per_cpu_second for run in runs],
            limit=MIN_LEDGER_PER_SECOND,
        ),
        Measure.of(
            "the ledger layer alone, streamed to the room and kept, one core for both",
            unit="episodes/s",
            better="higher",
            ours=[run.streamed_per_second for run in runs],
        ),
    ]


def _comparison_measures(runs: Sequence[ComparisonMeasured]) -> list[Measure]:
    comparison = f"comparison of two evaluations of {COMPARED_EPISODES:,} episodes with bootstrap"
    return [
        Measure.of(
            f"{comparison}, in a room just started",
            unit="s",
            better="lower",
            ours=[run.seconds for run in runs],
            limit=MAX_COMPARISON_SECONDS,
        ),
        Measure.of(
            "memory of the scoreboard room meanwhile, at its peak",
            unit="MiB",
            better="lower",
            ours=[run.peak_mib for run in runs],
            limit=MAX_COMPARISON_MIB,
        ),
    ]


def _peer_name(way: str) -> str:
    return f"{peer_version(PEER)}, {PEER_WAYS[way]}"


def _peer(python: Path, samples: Path, way: str) -> Measured:
    script = FOLDER / "inspect_judge.py"
    with stub_model("--text", PEER_REPLY) as url:
        command = [str(python), str(script), url, str(PEER_EPISODES), str(CONNECTIONS)]
        result, peak_mib = run_peer([*command, str(samples), way], core=CLIENT_CORE)
    if result["judgements"] != PEER_EPISODES:
        raise SystemExit(f"{PEER} kept {result['judgements']} of {PEER_EPISODES} judgements")
    return Measured(
        judgements_per_second=result["judgements"] / result["seconds"],
        unkept_per_second=result["judgements"] / result["judging_seconds"],
        cpu_ms_per_judgement=1000 * result["cpu_seconds"] / result["judgements"],
        peak_mib=peak_mib,
    )


async def _ours(
    told: Sequence[episode_pb2.Episode],
    num_episodes: int,
    panel: verdict_pb2.Panel | None = PANEL,
) -> Measured:
    with _judging_stub() as url, on_core(CLIENT_CORE), tempfile.TemporaryDirectory() as folder:
        endpoints = {"stub": {"base_url": url, "max_connections": CONNECTIONS}}
        variables = {"MAX_CONCURRENCY": str(CONNECTIONS), "ENDPOINTS": json.dumps(endpoints)}
        with running_room("judge", variables, core=CLIENT_CORE) as (room, address):
            async with open_channel(address) as channel:
                stub = judge_service_pb2_grpc.JudgeServiceStub(channel)
                await keep_verdicts(stub, told, WARM_EPISODES, panel, Path(folder))
                with MemoryWatch([room, os.getpid()]) as memory:
                    cpu, begun = cpu_of_both(room), time.perf_counter()
                    await keep_verdicts(stub, told, num_episodes, panel, Path(folder))
                    seconds = time.perf_counter() - begun
                    cpu = cpu_of_both(room) - cpu
    return Measured(
        judgements_per_second=num_episodes / seconds,
        unkept_per_second=num_episodes / seconds,
        cpu_ms_per_judgement=1000 * cpu / num_episodes,
        peak_mib=memory.peak_mib,
    )


def _judging_stub() -> AbstractContextManager[str]:
    (rubric,) = [each for each in shipped_rubrics() if each.name == RUBRIC]
    return stub_model("--judge", json.dumps({each.name: each.low for each in rubric.questions}))


def _ledger(told: Sequence[episode_pb2.Episode]) -> LedgerMeasured:
    rubric = agentic_ledger()
    rounds = LEDGER_EPISODES // len(told)
    with on_core(CLIENT_CORE):
        begun = time.process_time()
        for _ in range(rounds):
            for episode in told:
                verdict_to_proto(rubric.judge_episode(record_from_proto(episode)))
        seconds = time.process_time() - begun
    streamed = asyncio.run(_ours(told, LEDGER_EPISODES, panel=None))
    return LedgerMeasured(
        episodes_per_cpu_second=rounds * len(told) / seconds,
        streamed_per_second=streamed.judgements_per_second,
    )


if __name__ == "__main__":
    main()
