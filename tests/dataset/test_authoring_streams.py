"""Streams of a language recipe behind a real port, with a model that the test holds in its hand."""

import asyncio

import grpc
import pytest
from prometheus_client import REGISTRY
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import recipe_pb2

from services.servicekit.channel import error_details
from tests.dataset.tiny_recipe import (
    FakeGrader,
    FakeModel,
    stage_of,
    tiny_spec,
    usual_answer,
)
from tests.dataset.tiny_streams import (
    OpenTinyRoom,
    as_bytes,
    examples_among,
    items_of,
    rejecting_every,
    rejections_among,
)

USD_OF_A_REPLY = (10 * 1.0 + 20 * 10.0) / 1e6
PLAIN = ("rewrite",)


async def test_items_come_in_order_and_end_with_the_example_that_reaches_the_budget(
    tiny_room: OpenTinyRoom,
) -> None:
    async with tiny_room(FakeModel()) as stub:
        items = await items_of(stub, tiny_spec(2000))

    examples = examples_among(items)
    tokens = [example.num_tokens for example in examples]
    assert [example.index for example in examples] == list(range(len(items)))
    assert [example.cumulative_tokens for example in examples] == [
        sum(tokens[: i + 1]) for i in range(len(tokens))
    ]
    assert examples[-2].cumulative_tokens < 2000 <= examples[-1].cumulative_tokens


async def test_a_lineage_is_complete(tiny_room: OpenTinyRoom) -> None:
    async with tiny_room(FakeModel(), FakeGrader()) as stub:
        spec = tiny_spec(judged=True, variant="ornate")
        [first, *_] = examples_among(await items_of(stub, spec))
        [listed] = (await stub.ListRecipes(pb.ListRecipesRequest())).recipes
        clauses = await stub.ListClauses(pb.ListClausesRequest())
        keys = [record.reply_key for record in first.lineage.stages]
        replies = await stub.GetReplies(pb.GetRepliesRequest(keys=keys))

    lineage = first.lineage
    versions = {stage.name: stage.prompt_version for stage in listed.stages}
    assert (lineage.recipe, lineage.recipe_revision) == ("tiny-advice", listed.revision)
    assert lineage.author == "default/fake"
    assert lineage.clause in {clause.id for clause in clauses.clauses}
    assert lineage.constitution_digest == clauses.constitution_digest
    assert lineage.draws["variant"] == "ornate"
    assert lineage.draws["style"] in {"short", "long", "odd"}
    assert lineage.draws["kind"] in first.chat.messages[0].content
    assert [record.stage for record in lineage.stages] == ["kinds", "draft", "rewrite", "filter"]
    for record in lineage.stages[:3]:
        assert record.prompt_version == versions[record.stage]
        assert (record.model.endpoint, record.model.model) == ("default", "fake")
        assert record.model_revision == "fake-1 fp_0"
        assert record.usage.output_tokens == 20
        assert record.cost_usd == pytest.approx(USD_OF_A_REPLY)
    assert lineage.stages[3].prompt_version == "tiny-abababab"
    assert lineage.stages[3].cost_usd == 0
    assert lineage.cost_usd == pytest.approx(2 * USD_OF_A_REPLY)
    assert replies.texts[2].strip() == first.chat.messages[-1].content
    assert '"good":8.0' in replies.texts[3]


async def test_a_stream_resumed_anywhere_goes_on_with_the_very_items_and_pays_nothing_twice(
    tiny_room: OpenTinyRoom,
) -> None:
    refusing = FakeModel(rejecting_every(5, "I can't help with that."))
    async with tiny_room(refusing) as stub:
        whole = await items_of(stub, tiny_spec(3000))
        asked = len(refusing.requests)
        for i in (0, 1, len(whole) // 2, len(whole) - 1):
            committed = examples_among(whole[:i])
            point = pb.ResumePoint(
                next_index=i,
                cumulative_tokens=committed[-1].cumulative_tokens if committed else 0,
            )
            assert as_bytes(await items_of(stub, tiny_spec(3000), point)) == as_bytes(whole[i:])
    assert rejections_among(whole)
    assert len(set(refusing.requests)) == len(refusing.requests)
    assert len(refusing.requests) <= asked + 20  # what ran ahead of another place

    other = FakeModel(rejecting_every(5, "I can't help with that."))
    async with tiny_room(other) as stub:
        assert as_bytes(await items_of(stub, tiny_spec(3000))) == as_bytes(whole)
    assert other.requests == []


async def test_a_smaller_dataset_is_the_beginning_of_a_larger_one(tiny_room: OpenTinyRoom) -> None:
    async with tiny_room(FakeModel()) as stub:
        small = await items_of(stub, tiny_spec(700))
        large = await items_of(stub, tiny_spec(2100))

    assert as_bytes(large[: len(small)]) == as_bytes(small)


async def test_a_left_out_stage_changes_nothing_before_it(tiny_room: OpenTinyRoom) -> None:
    model = FakeModel()
    async with tiny_room(model) as stub:
        whole = examples_among(await items_of(stub, tiny_spec(600)))
        model.requests.clear()
        ablated = examples_among(await items_of(stub, tiny_spec(500, omitted_stages=PLAIN)))

    shared = min(len(whole), len(ablated))
    assert shared > 3
    assert model.asked("rewrite") == []
    # Only what may have run ahead in one of the two is asked anew.
    assert len(model.requests) <= max(0, len(ablated) - len(whole)) + 4
    for one, other in zip(whole[:shared], ablated[:shared], strict=True):
        assert list(one.lineage.stages)[:2] == list(other.lineage.stages)
        assert one.chat.messages[0] == other.chat.messages[0]


async def test_few_items_are_written_beyond_the_budget(tiny_room: OpenTinyRoom) -> None:
    model = FakeModel()
    async with tiny_room(model) as stub:
        items = await items_of(stub, tiny_spec(20_000))

    assert model.peak > 32
    assert len(model.asked("draft")) <= len(items) * 1.05 + 2


async def test_shared_stages_are_made_once_however_many_ask_at_once(
    tiny_room: OpenTinyRoom,
) -> None:
    model = FakeModel()
    async with tiny_room(model) as stub:
        items = await items_of(stub, tiny_spec(3000))

    assert len(items) > 20
    assert len(model.asked("kinds")) == 4


async def test_no_more_items_are_in_work_than_the_settings_allow(tiny_room: OpenTinyRoom) -> None:
    model = FakeModel()
    async with tiny_room(model, max_concurrency=3) as stub:
        await asyncio.gather(items_of(stub, tiny_spec(600)), items_of(stub, tiny_spec(600, seed=1)))

    assert model.peak == 3


async def test_a_cancelled_call_stops_all_its_model_calls_at_once(tiny_room: OpenTinyRoom) -> None:
    model = FakeModel()
    model.open.clear()
    async with tiny_room(model) as stub:
        call = stub.GenerateExamples(pb.GenerateExamplesRequest(spec=tiny_spec(10**6)))
        await model.until(lambda: model.in_flight == 4)  # the shared stage of each topic
        call.cancel()
        await model.until(lambda: model.in_flight == 0)
        asked = len(model.requests)
        model.open.set()
        for _ in range(5):
            await stub.ListRecipes(pb.ListRecipesRequest())

    assert model.num_cancelled == asked == len(model.requests)


async def test_a_slow_reader_holds_the_writers_back(tiny_room: OpenTinyRoom) -> None:
    model = FakeModel(
        lambda request: (
            "word " * 20_000 if stage_of(request) == "rewrite" else usual_answer(request)
        )
    )
    async with tiny_room(model, max_concurrency=4) as stub:
        call = stub.GenerateExamples(pb.GenerateExamplesRequest(spec=tiny_spec(10**9)))
        await anext(aiter(call))
        before = -1
        while before != len(model.requests):
            before = len(model.requests)
            for _ in range(20):
                await stub.ListRecipes(pb.ListRecipesRequest())
        call.cancel()

    assert len(model.asked("draft")) < 200  # what the connection holds; the budget asks for 40,000


async def test_a_preview_shows_every_stage_and_the_dataset_pays_for_it_no_more(
    tiny_room: OpenTinyRoom,
) -> None:
    model = FakeModel()
    async with tiny_room(model) as stub:
        request = pb.PreviewExamplesRequest(spec=tiny_spec(10**6), max_items=3)
        shown = [item async for item in stub.PreviewExamples(request)]
        asked = list(model.requests)
        items = await items_of(stub, tiny_spec(400))

    assert len(shown) == 3
    assert len([r for r in asked if stage_of(r) == "draft"]) == 3
    assert [r for r in model.requests[len(asked) :] if r in asked] == []
    for number, item in enumerate(shown):
        assert item.example == items[number].example
        assert [text.record.stage for text in item.stages] == ["kinds", "draft", "rewrite"]
        assert [text.record for text in item.stages] == list(item.example.lineage.stages)
        assert item.stages[1].prompt[0].content == f"You write about {item.example.lineage.clause}."
        assert item.stages[2].reply.strip() == item.example.chat.messages[-1].content


async def test_a_plan_asks_no_model_and_foretells_calls_tokens_and_cost(
    tiny_room: OpenTinyRoom,
) -> None:
    model = FakeModel()
    async with tiny_room(model, FakeGrader()) as stub:
        plan = await stub.PlanDataset(pb.PlanDatasetRequest(spec=tiny_spec(10_000, judged=True)))
        same = await stub.PlanDataset(
            pb.PlanDatasetRequest(
                spec=tiny_spec(
                    10_000, judged=True, spending_limit=recipe_pb2.SpendingLimit(max_tokens=9)
                )
            )
        )
        other = await stub.PlanDataset(
            pb.PlanDatasetRequest(spec=tiny_spec(10_000, judged=True, omitted_stages=PLAIN))
        )

    stages = {stage.stage: stage for stage in plan.stages}
    num_examples = plan.estimated_examples
    assert model.requests == []
    assert list(stages) == ["kinds", "draft", "rewrite", "filter"]
    assert stages["kinds"].calls == 4
    assert stages["draft"].calls == stages["rewrite"].calls == stages["filter"].calls
    assert stages["draft"].calls == num_examples
    tokens = [s.usage.input_tokens + s.usage.output_tokens for s in list(plan.stages)[:3]]
    assert plan.estimated_author_tokens == sum(tokens)
    assert plan.estimated_usd == pytest.approx(sum(s.usd for s in list(plan.stages)[:3]))
    assert not stages["filter"].HasField("usd")
    assert stages["filter"].model.model == "judge"
    assert same.digest == plan.digest != other.digest


async def test_replies_that_nobody_made_are_not_found(tiny_room: OpenTinyRoom) -> None:
    async with tiny_room(FakeModel()) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await stub.GetReplies(pb.GetRepliesRequest(keys=["0" * 64]))
        with pytest.raises(grpc.aio.AioRpcError) as wrong:
            await stub.GetReplies(pb.GetRepliesRequest(keys=["0" * 64, "x"]))

    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    assert [v.field for v in error_details(wrong.value).violations] == ["keys[1]"]


async def test_what_is_written_and_spent_is_counted(tiny_room: OpenTinyRoom) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"teachwhy_dataset_{name}_total", labels) or 0.0

    def counted() -> list[float]:
        tiny = {"recipe": "tiny-advice"}
        return [
            value("items", **tiny, outcome="example"),
            value("items", **tiny, outcome="refusal"),
            value("stage_replies", **tiny, stage="draft"),
            value("cache_hits", **tiny),
            value("author_tokens", endpoint="default", model="fake", direction="output"),
            value("author_usd", endpoint="default", model="fake"),
        ]

    before = counted()
    model = FakeModel(rejecting_every(5, "I cannot write this."))
    async with tiny_room(model) as stub:
        items = await items_of(stub, tiny_spec(1000))
        await items_of(stub, tiny_spec(1000))
    after = counted()

    examples, refusals, drafts, hits, tokens, usd = (
        b - a for a, b in zip(before, after, strict=True)
    )
    assert examples == 2 * len(examples_among(items))
    assert refusals == 2 * len(rejections_among(items))
    assert drafts >= 2 * len(items)
    assert hits >= len(items)
    assert tokens == 20 * len(model.requests)
    assert usd == pytest.approx(USD_OF_A_REPLY * len(model.requests))
