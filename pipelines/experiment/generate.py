"""Write one dataset: stream examples from the dataset room, commit them in shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2

from pipelines.experiment.outputs import Output
from pipelines.experiment.rooms import Rooms, dataset_spec
from pipelines.experiment.shards import (
    EXAMPLES_PER_SHARD,
    encode_examples,
    last_position,
    shard_name,
)
from pipelines.experiment.steps import DatasetStep

PROGRESS_EVERY = 500


async def generate_dataset(
    step: DatasetStep, output: Output, rooms: Rooms, advance: Callable[[int], None]
) -> None:
    """Write the dataset of ``step`` to ``output``, going on behind committed shards.

    Args:
        step: what to write.
        output: where to; complete when this returns.
        rooms: the dataset room is asked.
        advance: told the cumulative tokens from time to time.
    """
    shards = await asyncio.to_thread(output.file_names)
    next_index, tokens = 0, 0
    if shards:
        last = await asyncio.to_thread(output.store.get, output.key(shards[-1]))
        last_index, tokens = last_position(last)
        next_index = last_index + 1
    pending: list[example_pb2.Example] = []
    position = _Position(next_index, tokens)
    spec = dataset_spec(step.part, seed=step.seed, tokens=step.tokens)

    def open_stream() -> AsyncIterator[dataset_service_pb2.GenerateExamplesResponse]:
        request = dataset_service_pb2.GenerateExamplesRequest(
            spec=spec,
            resume_from=dataset_service_pb2.ResumePoint(
                next_index=position.next_index, cumulative_tokens=position.tokens
            ),
        )
        return aiter(rooms.dataset.GenerateExamples(request))

    async for response in rooms.resumed("dataset", open_stream):
        example = response.example
        position.move_behind(example)
        pending.append(example)
        if example.index % PROGRESS_EVERY == 0:
            advance(example.cumulative_tokens)
        if len(pending) == EXAMPLES_PER_SHARD:
            await _commit(output, pending)
            pending = []
    if pending:
        await _commit(output, pending)
    await asyncio.to_thread(
        output.publish,
        kind="dataset",
        digest=step.digest,
        parameters={**step.part.model_dump(mode="json"), "seed": step.seed, "tokens": step.tokens},
        inputs={},
        counts={"examples": position.next_index, "tokens": position.tokens},
    )


class _Position:
    """How far the stream has come."""

    def __init__(self, next_index: int, tokens: int) -> None:
        self.next_index = next_index
        self.tokens = tokens

    def move_behind(self, example: example_pb2.Example) -> None:
        if example.index != self.next_index:
            raise RuntimeError(
                f"the dataset room sent example {example.index} where {self.next_index} was due"
            )
        self.next_index = example.index + 1
        self.tokens = example.cumulative_tokens


async def _commit(output: Output, examples: list[example_pb2.Example]) -> None:
    name = shard_name("examples", examples[0].index // EXAMPLES_PER_SHARD)
    content = await asyncio.to_thread(encode_examples, examples)
    await asyncio.to_thread(output.store.put, output.key(name), content)
