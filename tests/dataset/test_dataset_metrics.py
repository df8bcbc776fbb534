"""What streams of language models show to Prometheus while they run."""

import grpc
import pytest
from prometheus_client import REGISTRY
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import recipe_pb2

from services.dataset import metrics
from services.servicekit.chat_scripted import ScriptedChatModel
from services.servicekit.spending import MeteredChatModel, SpendingLimit
from tests.dataset.rooms import Stub
from tests.dataset.tiny_recipe import FakeModel, tiny_spec
from tests.dataset.tiny_streams import OpenTinyRoom, items_of, rejecting_every, rejections_among
from tests.servicekit.test_spending import reply, request

SPENT = "teachwhy_dataset_spending_limit_spent_ratio"


def _shown(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_an_item_that_ends_early_is_counted_at_the_stage_that_ended_it(
    tiny_room: OpenTinyRoom,
) -> None:
    labels = {"recipe": tiny_spec(1).recipe, "stage": "draft"}
    before = _shown("teachwhy_dataset_stage_rejections_total", **labels)
    async with tiny_room(FakeModel(rejecting_every(4, ""))) as stub:
        items = await items_of(stub, tiny_spec(2000))

    counted = _shown("teachwhy_dataset_stage_rejections_total", **labels) - before
    assert rejections_among(items)
    assert counted == len(rejections_among(items))


async def test_a_stream_that_nears_its_limit_says_so_before_it_is_stopped(
    tiny_room: OpenTinyRoom,
) -> None:
    spec = tiny_spec(10**5, spending_limit=recipe_pb2.SpendingLimit(max_tokens=6000))
    shown = []

    async def watch(stub: Stub) -> None:
        call = stub.GenerateExamples(pb.GenerateExamplesRequest(spec=spec))
        async for _ in call:
            shown.append(_shown(SPENT, recipe=spec.recipe))  # noqa: PERF401 (kept up to the error)

    async with tiny_room(FakeModel(), max_concurrency=1) as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
            await watch(stub)

    assert 0 < max(shown) <= 1


async def test_of_two_streams_the_one_nearest_to_its_limit_is_shown() -> None:
    meters = [
        MeteredChatModel(
            ScriptedChatModel(lambda _request: reply(20, 10)),
            price_of=lambda _target: None,
            limit=SpendingLimit(max_tokens=most),
        )
        for most in (100_000, 10_000)
    ]
    for meter in meters:
        metrics.watch_spending("two-streams", meter)
        await meter.reply(request(max_output_tokens=10))

    assert _shown(SPENT, recipe="two-streams") == 30 / 10_000
    del meter, meters

    assert _shown(SPENT, recipe="two-streams") == 0
