"""What streams of language models show to Prometheus while they run."""

from collections.abc import AsyncIterator

import grpc
import pytest
from prometheus_client import REGISTRY
from teachwhy.dataset.v1 import audit_pb2, example_pb2, recipe_pb2
from teachwhy.dataset.v1 import dataset_service_pb2 as pb

from services.dataset import metrics
from services.servicekit.chat_scripted import ScriptedChatModel
from services.servicekit.spending import MeteredChatModel, SpendingLimit
from tests.dataset.gate_examples import varied_text
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


async def test_the_yield_of_each_stage_follows_from_what_passed_it_and_what_it_ended(
    tiny_room: OpenTinyRoom,
) -> None:
    def counted(stage: str) -> tuple[float, float]:
        labels = {"recipe": tiny_spec(1).recipe, "stage": stage}
        return (
            _shown("teachwhy_dataset_stage_passes_total", **labels),
            _shown("teachwhy_dataset_stage_rejections_total", **labels),
        )

    before = {stage: counted(stage) for stage in ("kinds", "draft")}
    async with tiny_room(FakeModel(rejecting_every(4, ""))) as stub:
        items = await items_of(stub, tiny_spec(2000))

    rejections = len(rejections_among(items))
    shared, own = (
        tuple(now - then for now, then in zip(counted(stage), before[stage], strict=True))
        for stage in ("kinds", "draft")
    )
    assert rejections
    assert shared == (len(items), 0)
    assert own == (len(items) - rejections, rejections)


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


@pytest.mark.parametrize(("named", "counted_as"), [("tiny-advice", "tiny-advice"), ("x", "other")])
async def test_an_audit_shows_how_many_examples_each_gate_dropped(
    tiny_room: OpenTinyRoom, named: str, counted_as: str
) -> None:
    texts = (*("The same words again, to the last one of them.",) * 3, varied_text(1))
    examples = [
        example_pb2.Example(
            index=index,
            document=text,
            num_tokens=7,
            lineage=example_pb2.Lineage(recipe=named),
        )
        for index, text in enumerate(texts)
    ]

    async def requests() -> AsyncIterator[audit_pb2.AuditDatasetRequest]:
        gates = audit_pb2.AuditSettings(duplicates=audit_pb2.DuplicateGate())
        yield audit_pb2.AuditDatasetRequest(settings=gates)
        for batch in (examples[:2], examples[2:]):
            yield audit_pb2.AuditDatasetRequest(examples=audit_pb2.ExampleBatch(examples=batch))

    def counted(gate: str, outcome: str) -> float:
        labels = {"recipe": counted_as, "gate": gate, "outcome": outcome}
        return _shown("teachwhy_dataset_audited_examples_total", **labels)

    before = counted("duplicates", "dropped"), counted("duplicates", "kept")
    async with tiny_room(FakeModel()) as stub:
        await stub.AuditDataset(requests())

    after = counted("duplicates", "dropped"), counted("duplicates", "kept")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 2)
    assert counted("form", "kept") == 0, "a gate that did not run has seen nothing"
