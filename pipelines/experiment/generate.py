"""Stream a dataset's items from the dataset room and commit them in shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2, recipe_pb2

from pipelines.experiment.drafts import Draft, Position
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.shards import (
    EXAMPLES_PER_SHARD,
    encode_examples,
    last_position,
    shard_name,
)
from pipelines.experiment.steps import DatasetStep
from pipelines.outputs import Output

PROGRESS_EVERY = 500

Advance = Callable[[int], None]
"""Told the cumulative tokens from time to time."""


async def generate_dataset(
    step: DatasetStep,
    spec: recipe_pb2.DatasetSpec,
    output: Output,
    rooms: Rooms,
    advance: Advance,
) -> None:
    """Write a dataset that is taken as the room writes it, going on behind committed shards.

    Args:
        step: what to write.
        spec: the same as a request.
        output: where to; complete when this returns.
        rooms: the dataset room is asked.
        advance: told about progress.
    """
    shards = await asyncio.to_thread(output.file_names)
    position = Position()
    if shards:
        last = await asyncio.to_thread(output.store.get, output.key(shards[-1]))
        last_index, tokens = last_position(last)
        position = Position(next_index=last_index + 1, tokens=tokens)
    pending: list[example_pb2.Example] = []
    async for item, position in _stream(spec, position, rooms):  # noqa: B020 (it moves on)
        if item.WhichOneof("item") == "rejection":
            raise RuntimeError(f"a grammar rejected an item: {item.rejection.detail}")
        pending.append(item.example)
        if item.example.index % PROGRESS_EVERY == 0:
            advance(position.tokens)
        if len(pending) == EXAMPLES_PER_SHARD:
            await _commit(output, pending)
            pending = []
    if pending:
        await _commit(output, pending)
    await asyncio.to_thread(
        output.publish,
        kind="dataset",
        digest=step.digest,
        parameters=dataset_parameters(step),
        inputs={},
        counts={"examples": position.next_index, "tokens": position.tokens},
        written=await asyncio.to_thread(output.file_names),
    )


async def write_draft(
    spec: recipe_pb2.DatasetSpec, draft: Draft, rooms: Rooms, advance: Advance
) -> None:
    """Let a draft grow until its examples hold the token budget of ``spec``.

    What came before a fault is committed, so that it is never asked for again.
    """
    if draft.position.tokens >= spec.token_budget:
        return
    try:
        async for item, _ in _stream(spec, draft.position, rooms):
            if draft.add(item):
                await asyncio.to_thread(draft.commit)
            advance(draft.position.tokens)
    except grpc.aio.AioRpcError:
        await asyncio.to_thread(draft.commit)
        raise
    await asyncio.to_thread(draft.commit)


def dataset_parameters(step: DatasetStep) -> dict[str, object]:
    """What a dataset's manifest says it was asked to be."""
    part = step.part.model_dump(mode="json", exclude_defaults=True)
    return {**part, "seed": step.seed, "tokens": step.tokens}


async def _stream(
    spec: recipe_pb2.DatasetSpec, start: Position, rooms: Rooms
) -> AsyncIterator[tuple[dataset_service_pb2.DatasetItem, Position]]:
    """Items from ``start`` on, each with the position behind it."""
    position = start

    def open_stream() -> AsyncIterator[dataset_service_pb2.GenerateExamplesResponse]:
        request = dataset_service_pb2.GenerateExamplesRequest(
            spec=spec,
            resume_from=dataset_service_pb2.ResumePoint(
                next_index=position.next_index, cumulative_tokens=position.tokens
            ),
        )
        return aiter(rooms.dataset.GenerateExamples(request))

    async for response in rooms.resumed("dataset", open_stream):
        for item in response.items:
            position = position.behind(item)
            yield item, position


async def _commit(output: Output, examples: list[example_pb2.Example]) -> None:
    name = shard_name("examples", examples[0].index // EXAMPLES_PER_SHARD)
    content = await asyncio.to_thread(encode_examples, examples)
    await asyncio.to_thread(output.store.put, output.key(name), content)
