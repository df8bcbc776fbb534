"""Play the episodes of one evaluation and commit them in shards; several processes may share one.

A shard holds a fixed range of indices, whoever played it, so its name says whether it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count, groupby, takewhile

import grpc
from teachwhy.rollout.v1 import episode_pb2

from pipelines.experiment.episode_series import EpisodeSeries
from pipelines.experiment.episode_tallies import EpisodeTallies
from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.judging import EPISODES, shard_content
from pipelines.experiment.model_faults import lost_its_model, model_fault
from pipelines.experiment.rooms import ATTEMPTS_WITHOUT_PROGRESS, Rooms
from pipelines.experiment.shards import (
    EPISODES_PER_SHARD,
    decode_episodes,
    encode_episodes,
    shard_name,
)
from pipelines.experiment.spec_evaluation import Evaluation, HostedModel
from pipelines.experiment.steps import EvaluationStep
from pipelines.outputs import Output


class ModelNotEvaluated(Exception):
    """A hosted model could not be played to the end. The message says which, and why."""


def num_shards(step: EvaluationStep) -> int:
    """Shards that all planned episodes of ``step`` make."""
    return -(-step.episodes // EPISODES_PER_SHARD)


def episode_shards(output: Output) -> Iterator[list[episode_pb2.Episode]]:
    """Read the committed episodes of an evaluation, in order, a shard at a time."""
    for name in output.file_names():
        if name.startswith(EPISODES):
            yield decode_episodes(shard_content(output, name))


async def play_episodes(
    step: EvaluationStep,
    output: Output,
    *,
    settings: Evaluation,
    rooms: Rooms,
    host: ModelHost,
    advance: Callable[[int], None],
    shards: range | None = None,
) -> bool:
    """Play what is not committed yet; return whether the stop rule ended it.

    Args:
        step: what to play.
        output: where the episodes go.
        settings: suites, draws and sampling.
        rooms: the rollout room is asked.
        host: hosts the checkpoint meanwhile; not asked for a model that somebody hosts, nor
            where nothing is left to play.
        advance: told the number of episodes so far.
        shards: only these, while other processes play the others; None: all. Not with a stop
            rule, which has to see every episode in order.

    Raises:
        ModelNotEvaluated: a model that somebody hosts did not answer.
    """
    assert shards is None or settings.stop_at_interval_width is None, "a stop rule sees all"
    lost_models = 0
    while True:
        playing = await _Playing.opened(step, output, settings, shards or range(num_shards(step)))
        if not playing.due:
            return False
        if not isinstance(step.subject, HostedModel):
            await host.load(step.model)
        try:
            return await playing.play(rooms, advance)
        except grpc.aio.AioRpcError as error:
            lost_models += 1
            if isinstance(step.subject, HostedModel):
                raise _not_evaluated(step, error) from error
            if not lost_its_model(error) or lost_models >= ATTEMPTS_WITHOUT_PROGRESS:
                raise


class _Playing:
    """What is there of an evaluation, and what is to be played."""

    def __init__(
        self,
        step: EvaluationStep,
        output: Output,
        settings: Evaluation,
        *,
        due: Sequence[range],
        before: EpisodeTallies,
        done: int,
    ) -> None:
        self.due = due
        """Indices of the missing episodes."""
        self._step, self._output, self._settings = step, output, settings
        self._before = before
        self._done = done

    @classmethod
    async def opened(
        cls, step: EvaluationStep, output: Output, settings: Evaluation, shards: range
    ) -> _Playing:
        """Look at what is committed; a stop rule goes on behind it and knows its tallies."""
        if settings.stop_at_interval_width is None:
            names = set(await asyncio.to_thread(output.file_names))
            missing = [n for n in shards if shard_name("episodes", n) not in names]
            due = [_indices(step, run) for run in _runs(missing)]
            done = len(_indices(step, shards)) - sum(map(len, due))
            tallies = EpisodeTallies()
        else:
            tallies = await asyncio.to_thread(_tallies, output)
            done = tallies.total
            due = [range(done, step.episodes)] if done < step.episodes else []
        return cls(step, output, settings, due=due, before=tallies, done=done)

    async def play(self, rooms: Rooms, advance: Callable[[int], None]) -> bool:
        """Play and commit what is due; return whether the stop rule ended it."""
        for indices in self.due:
            series = EpisodeSeries(
                rooms, self._step, self._settings, indices=indices, before=self._before
            )
            shard: list[episode_pb2.Episode] = []
            async for episode in series.play():
                shard.append(episode)
                self._done += 1
                advance(self._done)
                if len(shard) == EPISODES_PER_SHARD:
                    await self._commit(shard)
                    shard = []
            if not series.is_stopped and series.next_index < indices.stop:
                raise RuntimeError(
                    f"the rollout room ended after {series.next_index} of {indices.stop} episodes"
                )
            if shard:
                await self._commit(shard)
            if series.is_stopped:
                return True
        return False

    async def _commit(self, episodes: Sequence[episode_pb2.Episode]) -> None:
        name = shard_name("episodes", episodes[0].index // EPISODES_PER_SHARD)
        content = await asyncio.to_thread(encode_episodes, episodes)
        await asyncio.to_thread(self._output.store.put, self._output.key(name), content)


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Join ascending numbers that follow one another."""
    for _, each in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in each]
        yield range(run[0], run[-1] + 1)


def _indices(step: EvaluationStep, shards: range) -> range:
    first, end = shards.start * EPISODES_PER_SHARD, shards.stop * EPISODES_PER_SHARD
    return range(first, min(end, step.episodes))


def _tallies(output: Output) -> EpisodeTallies:
    """Count the episodes from the first on, up to the first shard that is missing."""
    names = set(output.file_names())
    numbered = (shard_name("episodes", number) for number in count())
    present = takewhile(names.__contains__, numbered)
    shards = (decode_episodes(shard_content(output, name)) for name in present)
    return EpisodeTallies(episode for shard in shards for episode in shard)


def _not_evaluated(step: EvaluationStep, error: grpc.aio.AioRpcError) -> Exception:
    fault = model_fault(error)
    if fault is None:
        return error
    return ModelNotEvaluated(
        f"models: {step.arm}: {fault.message}\nEndpoints are the setting ROLLOUT_ENDPOINTS. What "
        "was played is kept: the same command goes on behind it."
    )
