"""Streams of the small recipe: how they are asked for and read."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import grpc
import pytest
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import example_pb2, recipe_pb2

from services.servicekit.chat import ChatRequest
from tests.dataset.rooms import Stub
from tests.dataset.tiny_recipe import Answer, digest, stage_of, usual_answer

OpenTinyRoom: TypeAlias = Callable[..., AbstractAsyncContextManager[Stub]]
ENDPOINT = {
    "base_url": "http://127.0.0.1:9",
    "usd_per_million_input_tokens": 1.0,
    "usd_per_million_output_tokens": 10.0,
}


async def items_of(
    stub: Stub, spec: recipe_pb2.DatasetSpec, resume_from: pb.ResumePoint | None = None
) -> list[pb.DatasetItem]:
    request = pb.GenerateExamplesRequest(spec=spec, resume_from=resume_from)
    return [each async for message in stub.GenerateExamples(request) for each in message.items]


async def items_until_error(
    stub: Stub, spec: recipe_pb2.DatasetSpec
) -> tuple[list[pb.DatasetItem], grpc.aio.AioRpcError]:
    """What came before the stream failed, and how it failed."""
    received: list[pb.DatasetItem] = []
    try:
        async for message in stub.GenerateExamples(pb.GenerateExamplesRequest(spec=spec)):
            received += message.items
    except grpc.aio.AioRpcError as error:
        return received, error
    pytest.fail("the stream did not fail")


def examples_among(items: list[pb.DatasetItem]) -> list[example_pb2.Example]:
    return [item.example for item in items if item.HasField("example")]


def rejections_among(items: list[pb.DatasetItem]) -> list[example_pb2.Rejection]:
    return [item.rejection for item in items if item.HasField("rejection")]


def as_bytes(items: list[pb.DatasetItem]) -> list[bytes]:
    return [item.SerializeToString(deterministic=True) for item in items]


def rejecting_every(nth: int, answer: Answer) -> Callable[[ChatRequest], Answer]:
    """A share of the drafts, chosen by what they ask, is answered otherwise."""

    def answered(request: ChatRequest) -> Answer:
        is_chosen = stage_of(request) == "draft" and int(digest(request), 16) % nth == 0
        return answer if is_chosen else usual_answer(request)

    return answered
