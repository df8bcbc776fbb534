"""Episodes a second of a three-turn agent with two tools, side by side with inspect_ai's react().

Both talk to the same stub model server, which has a core of its own, and both keep every transcript
on disk; each has the other core, with all its processes: ours are the rollout room and a client
that receives the stream over gRPC and writes it into shards as an experiment does.
"""

import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from teachwhy.common.v1 import model_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, rollout_service_pb2_grpc

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
from pipelines.experiment.shards import EPISODES_PER_SHARD, encode_episodes
from services.servicekit.channel import open_channel

RUNS = 3
CONNECTIONS = 64
WARM_EPISODES = 256
EPISODES = 10_000
PEER_EPISODES = 1_000
MIN_RATIO = 30.0
MANY_IN_FLIGHT = 1_000
MANY_EPISODES = 100_000
MAX_ROOM_MIB = 512
DRAWS = 100
PEER = "inspect_ai"
PACK = Path(__file__).parent / "mailbox"
SUITE = "mailbox-controls"

# The same two calls for both, each in the words of its own tools.
OUR_CALLS = (
    ("read_mail", {"mail_id": "m1"}),
    (
        "send_mail",
        {
            "to": ["team@linden-atelier.example"],
            "subject": "Friday",
            "body": "The review moved to Friday at ten, please be there in time.",
        },
    ),
)
PEER_CALLS = (
    ("read_message", {"message_id": "m1"}),
    (
        "send_message",
        {
            "to": "team@linden-atelier.example",
            "subject": "Friday",
            "body": "The review moved to Friday at ten, please be there in time.",
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one system."""

    episodes_per_second: float
    cpu_ms_per_episode: float
    peak_mib: float


def main() -> None:
    """Measure both in turn, three times over, and then one long stream of ours."""
    python = peer_python(PEER)
    version = peer_version(PEER)
    found: defaultdict[str, list[Measured]] = defaultdict(list)
    for number in range(RUNS):
        found["teachwhy"].append(asyncio.run(_ours(CONNECTIONS, EPISODES, seed=number)))
        found[version].append(_peer(python))
        found[f"{version}, lean"].append(_peer(python, "lean"))
        for name, runs in found.items():
            print(f"run {number + 1}: {name}: {runs[-1]}", flush=True)
    many = asyncio.run(_ours(MANY_IN_FLIGHT, MANY_EPISODES, seed=RUNS))
    print(f"{MANY_EPISODES:,} episodes, {MANY_IN_FLIGHT:,} in flight: {many}", flush=True)
    title = "A three-turn agent with two tools, 64 connections, a stub model, one core each"
    measures = [*_measures(found, version), *_measures_of_many(many)]
    write_result(Result.of("rollout", title=title, measures=measures))


def _measures(found: dict[str, list[Measured]], version: str) -> list[Measure]:
    ours = found["teachwhy"]
    peers = {name: runs for name, runs in found.items() if name != "teachwhy"}
    return [
        Measure.of(
            "episodes, transcripts kept",
            unit="episodes/s",
            better="higher",
            ours=[run.episodes_per_second for run in ours],
            peers={name: [run.episodes_per_second for run in runs] for name, runs in peers.items()},
            min_ratio_by_peer={version: MIN_RATIO},
        ),
        Measure.of(
            "CPU of an episode",
            unit="ms",
            better="lower",
            ours=[run.cpu_ms_per_episode for run in ours],
            peers={name: [run.cpu_ms_per_episode for run in runs] for name, runs in peers.items()},
        ),
        Measure.of(
            "memory of all processes, at its peak",
            unit="MiB",
            better="lower",
            ours=[run.peak_mib for run in ours],
            peers={name: [run.peak_mib for run in runs] for name, runs in peers.items()},
        ),
    ]


def _measures_of_many(many: Measured) -> list[Measure]:
    stream = f"{MANY_EPISODES:,} episodes in one stream, {MANY_IN_FLIGHT:,} in flight"
    return [
        Measure.of(stream, unit="episodes/s", better="higher", ours=[many.episodes_per_second]),
        Measure.of(
            f"{stream}: memory of the room, at its peak",
            unit="MiB",
            better="lower",
            ours=[many.peak_mib],
            limit=MAX_ROOM_MIB,
        ),
    ]


def _stub(calls: tuple[tuple[str, object], ...]) -> AbstractContextManager[str]:
    """A stub model that makes these calls, one a turn, and then ends."""
    each = (("--call", tool, json.dumps(arguments)) for tool, arguments in calls)
    return stub_model(*chain.from_iterable(each))


def _peer(python: Path, *settings: str) -> Measured:
    script = FOLDER / "inspect_react.py"
    with _stub(PEER_CALLS) as url:
        command = [str(python), str(script), url, str(PEER_EPISODES), str(CONNECTIONS), *settings]
        result, peak_mib = run_peer(command, core=CLIENT_CORE)
    if result["episodes"] != PEER_EPISODES:
        raise SystemExit(f"{PEER} kept {result['episodes']} of {PEER_EPISODES} episodes")
    return Measured(
        episodes_per_second=result["episodes"] / result["seconds"],
        cpu_ms_per_episode=1000 * result["cpu_seconds"] / result["episodes"],
        peak_mib=peak_mib,
    )


@contextmanager
def _room(url: str, in_flight: int) -> Iterator[tuple[int, str]]:
    """The rollout room on the clients' core: its process id and its address."""
    variables = {
        "MAX_CONCURRENCY": str(in_flight),
        "PACK_FOLDERS": json.dumps([str(PACK)]),
        "ENDPOINTS": json.dumps({"stub": {"base_url": url, "max_connections": in_flight}}),
    }
    with running_room("rollout", variables, core=CLIENT_CORE) as room:
        yield room


async def _ours(in_flight: int, num_episodes: int, *, seed: int) -> Measured:
    with (
        _stub(OUR_CALLS) as url,
        on_core(CLIENT_CORE),
        _room(url, in_flight) as (room, address),
        tempfile.TemporaryDirectory() as folder,
    ):
        async with open_channel(address) as channel:
            stub = rollout_service_pb2_grpc.RolloutServiceStub(channel)
            await _receive(stub, WARM_EPISODES, Path(folder), seed=seed + 1000)
            # Of the long stream only the room is asked to stay small.
            watched = [room, os.getpid()] if in_flight == CONNECTIONS else [room]
            with MemoryWatch(watched) as memory:
                cpu, begun = cpu_of_both(room), time.perf_counter()
                await _receive(stub, num_episodes, Path(folder), seed=seed)
                seconds = time.perf_counter() - begun
                cpu = cpu_of_both(room) - cpu
    return Measured(
        episodes_per_second=num_episodes / seconds,
        cpu_ms_per_episode=1000 * cpu / num_episodes,
        peak_mib=memory.peak_mib,
    )


async def _receive(
    stub: "rollout_service_pb2_grpc.RolloutServiceAsyncStub",
    num_episodes: int,
    folder: Path,
    *,
    seed: int,
) -> None:
    """Receive so many episodes and write them into shards."""
    shard: list[episode_pb2.Episode] = []
    received = 0
    async for episode in _episodes(stub, num_episodes, seed=seed):
        received += 1
        if episode.state != episode_pb2.EPISODE_STATE_COMPLETED or len(episode.ledger) != len(
            OUR_CALLS
        ):
            raise SystemExit(f"an episode went another way: {episode}")
        shard.append(episode)
        if len(shard) == EPISODES_PER_SHARD:
            (folder / f"{received}.parquet").write_bytes(encode_episodes(shard))
            shard = []
    if shard:
        (folder / f"{received}.parquet").write_bytes(encode_episodes(shard))
    if received != num_episodes:
        raise SystemExit(f"the stream ended after {received} of {num_episodes} episodes")


async def _episodes(
    stub: "rollout_service_pb2_grpc.RolloutServiceAsyncStub", num_episodes: int, *, seed: int
) -> AsyncIterator[episode_pb2.Episode]:
    spec = episode_pb2.EpisodesSpec(
        suites=[SUITE],
        world_seed=seed,
        draws_per_scenario=DRAWS,
        repetitions=-(-num_episodes // DRAWS),
        target=model_pb2.ModelRef(endpoint="stub", model="stub"),
    )
    request = rollout_service_pb2.RunEpisodesRequest(spec=spec, end_index=num_episodes)
    async for response in stub.RunEpisodes(request):
        for episode in response.episodes:
            yield episode


if __name__ == "__main__":
    main()
