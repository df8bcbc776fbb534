"""Evaluate one checkpoint: host it, play it, judge it, and keep what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import grpc
from teachwhy.common.v1 import model_pb2
from teachwhy.judge.v1 import judge_service_pb2, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2

from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.outputs import Output
from pipelines.experiment.rooms import ATTEMPTS_WITHOUT_PROGRESS, Rooms
from pipelines.experiment.shards import (
    EPISODES_PER_SHARD,
    decode_episodes,
    encode_episodes,
    encode_verdicts,
    shard_name,
)
from pipelines.experiment.spec import Evaluation
from pipelines.experiment.steps import EvaluationStep
from services.servicekit.channel import error_details
from services.servicekit.digest import derive_seed


async def evaluate_checkpoint(
    step: EvaluationStep,
    output: Output,
    *,
    settings: Evaluation,
    rooms: Rooms,
    host: ModelHost,
    advance: Callable[[int], None],
) -> None:
    """Play and judge the checkpoint of ``step``; ``output`` holds episodes and verdicts.

    Episodes are committed in shards, so that a killed run plays none of them twice.

    Args:
        step: what to evaluate.
        output: where episodes and verdicts go; complete when this returns.
        settings: suites, draws and sampling.
        rooms: rollout and judge are asked.
        host: hosts the checkpoint meanwhile.
        advance: told the number of episodes so far.
    """
    await _play_all(step, output, settings, rooms, host=host, advance=advance)
    unscored = await _judge_all(step, output, settings, rooms)
    await host.unload(step.training.checkpoint)
    await asyncio.to_thread(
        output.publish,
        kind="evaluation",
        digest=step.digest,
        parameters={
            "arm": step.arm,
            "seed": step.seed,
            "tokens": step.tokens,
            **settings.model_dump(mode="json"),
        },
        inputs={"checkpoint": step.training.digest},
        counts={"episodes": step.episodes, "unscored": unscored},
    )


def episodes_spec(step: EvaluationStep, settings: Evaluation) -> episode_pb2.EpisodesSpec:
    """Build the request for all episodes of ``step``."""
    return episode_pb2.EpisodesSpec(
        suites=settings.suites,
        world_seed=step.seed,
        draws_per_scenario=settings.draws_per_scenario,
        target=model_pb2.ModelRef(model=step.training.checkpoint),
        sampling=model_pb2.Sampling(
            temperature=settings.temperature,
            max_output_tokens=settings.max_output_tokens,
            # One seed for all arms: they meet the same scenarios with the same noise.
            seed=derive_seed("evaluation", step.seed),
        ),
    )


def read_episodes(output: Output) -> list[episode_pb2.Episode]:
    """Read the committed episodes of an evaluation, in order."""
    names = [name for name in output.file_names() if name.startswith("episodes-")]
    contents = (output.store.get(output.key(name)) for name in names)
    return [episode for content in contents for episode in decode_episodes(content)]


async def _play_all(
    step: EvaluationStep,
    output: Output,
    settings: Evaluation,
    rooms: Rooms,
    *,
    host: ModelHost,
    advance: Callable[[int], None],
) -> None:
    committed = len(await asyncio.to_thread(read_episodes, output))
    spec = episodes_spec(step, settings)
    lost_models = 0
    while committed < step.episodes:
        await host.load(step.training.checkpoint)
        shard: list[episode_pb2.Episode] = []
        try:
            async for episode in _episodes(rooms, spec, committed):
                shard.append(episode)
                advance(episode.index + 1)
                if len(shard) == EPISODES_PER_SHARD:
                    committed += await _commit_episodes(output, shard)
                    shard = []
        except grpc.aio.AioRpcError as error:
            lost_models += 1
            if not _lost_its_model(error) or lost_models >= ATTEMPTS_WITHOUT_PROGRESS:
                raise
        else:
            committed += await _commit_episodes(output, shard)
            if committed < step.episodes:
                raise RuntimeError(
                    f"the rollout room ended after {committed} of {step.episodes} episodes"
                )


def _lost_its_model(error: grpc.aio.AioRpcError) -> bool:
    """Whether the model server was away or came back without the checkpoint."""
    details = error_details(error)
    return details.reason == "MODEL_UNAVAILABLE" or (
        details.reason == "MODEL_REJECTED_REQUEST" and details.metadata.get("http_status") == "404"
    )


async def _episodes(
    rooms: Rooms, spec: episode_pb2.EpisodesSpec, start_index: int
) -> AsyncIterator[episode_pb2.Episode]:
    expected = start_index

    def open_stream() -> AsyncIterator[rollout_service_pb2.RunEpisodesResponse]:
        request = rollout_service_pb2.RunEpisodesRequest(spec=spec, start_index=expected)
        return aiter(rooms.rollout.RunEpisodes(request))

    async for response in rooms.resumed("rollout", open_stream):
        if response.episode.index != expected:
            raise RuntimeError(
                f"the rollout room sent episode {response.episode.index}, due was {expected}"
            )
        expected += 1
        yield response.episode


async def _commit_episodes(output: Output, episodes: Sequence[episode_pb2.Episode]) -> int:
    if not episodes:
        return 0
    name = shard_name("episodes", episodes[0].index // EPISODES_PER_SHARD)
    content = await asyncio.to_thread(encode_episodes, episodes)
    await asyncio.to_thread(output.store.put, output.key(name), content)
    return len(episodes)


async def _judge_all(
    step: EvaluationStep, output: Output, settings: Evaluation, rooms: Rooms
) -> int:
    """Judge every episode, commit the verdicts; return how many have no score."""
    episodes = await asyncio.to_thread(read_episodes, output)
    if len(episodes) != step.episodes:
        raise RuntimeError(f"{len(episodes)} of {step.episodes} episodes were committed")
    verdicts: list[verdict_pb2.Verdict] = []

    def open_stream() -> AsyncIterator[judge_service_pb2.JudgeEpisodesResponse]:
        waiting = episodes[len(verdicts) :]
        requests = _judge_requests(waiting, settings.rubric, first=len(verdicts))
        return aiter(rooms.judge.JudgeEpisodes(requests))

    async for response in rooms.resumed("judge", open_stream):
        if response.index != len(verdicts):
            raise RuntimeError(f"the judge sent verdict {response.index}, due {len(verdicts)}")
        verdicts.append(response.verdict)
    if len(verdicts) != len(episodes):
        raise RuntimeError(f"the judge sent {len(verdicts)} verdicts for {len(episodes)} episodes")
    for start in range(0, len(verdicts), EPISODES_PER_SHARD):
        shard = verdicts[start : start + EPISODES_PER_SHARD]
        name = shard_name("verdicts", start // EPISODES_PER_SHARD)
        await asyncio.to_thread(
            output.store.put, output.key(name), encode_verdicts(shard, first_index=start)
        )
    return sum(1 for verdict in verdicts if verdict.WhichOneof("outcome") != "score")


def _judge_requests(
    episodes: Sequence[episode_pb2.Episode], rubric: str, *, first: int
) -> Iterator[judge_service_pb2.JudgeEpisodesRequest]:
    for offset, episode in enumerate(episodes):
        yield judge_service_pb2.JudgeEpisodesRequest(
            index=first + offset, rubric=rubric, episode=episode
        )
