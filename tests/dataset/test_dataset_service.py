"""The room behind a real port: lists, plans, streams, resumes, refuses and stops."""

import asyncio
from dataclasses import replace
from random import Random

import grpc
import pytest
from prometheus_client import REGISTRY
from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2, recipe_pb2

from services.dataset.grammar.recipe import Passage, Writer
from services.dataset.grammar.recipes import GRAMMAR_RECIPES as RECIPES
from services.dataset.spec import GrammarSettings
from services.microworld.passages import Document
from services.microworld.world import World
from services.servicekit.channel import error_details
from tests.dataset.rooms import Stub, open_room

NAN = float("nan")
HUGE_BUDGET = 10**12


def _spec(recipe: str = "advice-reasons", token_budget: int = 5000) -> recipe_pb2.DatasetSpec:
    return recipe_pb2.DatasetSpec(recipe=recipe, token_budget=token_budget)


def _author(
    *,
    temptation_share: float | None = None,
    system_prompt_share: float = 0.0,
    unseen_twin_objects: int = 0,
) -> recipe_pb2.DatasetSpec:
    author = recipe_pb2.MicroworldAuthor(
        temptation_share=temptation_share,
        system_prompt_share=system_prompt_share,
        unseen_twin_objects=unseen_twin_objects,
    )
    return recipe_pb2.DatasetSpec(recipe="advice-reasons", token_budget=1, microworld=author)


async def _generate(
    stub: Stub,
    spec: recipe_pb2.DatasetSpec,
    resume_from: dataset_service_pb2.ResumePoint | None = None,
) -> list[example_pb2.Example]:
    request = dataset_service_pb2.GenerateExamplesRequest(spec=spec, resume_from=resume_from)
    messages = stub.GenerateExamples(request)
    return [item.example async for message in messages for item in message.items]


async def test_recipes_are_listed_by_name_with_their_form_and_revision(stub: Stub) -> None:
    response = await stub.ListRecipes(dataset_service_pb2.ListRecipesRequest())

    assert [recipe.name for recipe in response.recipes] == sorted(RECIPES)
    for recipe in response.recipes:
        assert recipe.form != recipe_pb2.TRAINING_FORM_UNSPECIFIED
        assert recipe.author == recipe_pb2.AUTHOR_KIND_GRAMMAR
        assert [stage.name for stage in recipe.stages] == ["compose"]
        assert len(recipe.revision) == 64
        assert recipe.title
        assert recipe.description


async def test_a_plan_names_the_recipe_and_a_stable_digest(stub: Stub) -> None:
    request = dataset_service_pb2.PlanDatasetRequest(spec=_spec())

    plan = await stub.PlanDataset(request)

    assert plan.recipe.name == "advice-reasons"
    assert len(plan.digest) == 64
    assert plan.estimated_examples == pytest.approx(5000 / 58, rel=0.1)
    assert plan.estimated_author_tokens == 0
    assert (await stub.PlanDataset(request)) == plan


async def test_a_stream_is_numbered_without_gaps_and_ends_at_the_budget(stub: Stub) -> None:
    examples = await _generate(stub, _spec())

    assert [example.index for example in examples] == list(range(len(examples)))
    assert examples[-2].cumulative_tokens < 5000 <= examples[-1].cumulative_tokens


async def test_a_resumed_stream_is_byte_identical_to_the_rest(stub: Stub, recipe_name: str) -> None:
    whole = await _generate(stub, _spec(recipe_name))

    for i in (0, 1, len(whole) // 2, len(whole)):
        point = dataset_service_pb2.ResumePoint(
            next_index=i, cumulative_tokens=whole[i - 1].cumulative_tokens if i else 0
        )
        rest = await _generate(stub, _spec(recipe_name), point)

        assert [example.SerializeToString(deterministic=True) for example in rest] == [
            example.SerializeToString(deterministic=True) for example in whole[i:]
        ]


async def test_examples_and_tokens_are_counted_by_recipe(stub: Stub) -> None:
    def counted(name: str, **outcome: str) -> float:
        labels = {"recipe": "constitution-documents", **outcome}
        return REGISTRY.get_sample_value(f"teachwhy_dataset_{name}_total", labels) or 0.0

    before = counted("items", outcome="example"), counted("tokens")

    examples = await _generate(stub, _spec("constitution-documents"))

    assert counted("items", outcome="example") - before[0] == len(examples)
    assert counted("tokens") - before[1] == examples[-1].cumulative_tokens


@pytest.mark.parametrize(
    ("spec", "field", "allowed"),
    [
        (None, "spec", "required"),
        (_spec(recipe=""), "spec.recipe", "advice-reasons, "),
        (_spec(recipe="advise"), "spec.recipe", 'no recipe "advise"; recipes: admirable-stories'),
        (_spec(token_budget=0), "spec.token_budget", "1 to 1000000000000"),
        (_spec(token_budget=-1), "spec.token_budget", "1 to 1000000000000"),
        (_spec(token_budget=10**12 + 1), "spec.token_budget", "1 to 1000000000000"),
        (_author(temptation_share=-0.1), "spec.microworld.temptation_share", "0 to 1"),
        (_author(temptation_share=1.1), "spec.microworld.temptation_share", "0 to 1"),
        (_author(temptation_share=NAN), "spec.microworld.temptation_share", "0 to 1"),
        (_author(system_prompt_share=2.0), "spec.microworld.system_prompt_share", "0 to 1"),
        (_author(system_prompt_share=NAN), "spec.microworld.system_prompt_share", "0 to 1"),
        (_author(unseen_twin_objects=-1), "spec.microworld.unseen_twin_objects", "0 to 6"),
        (_author(unseen_twin_objects=7), "spec.microworld.unseen_twin_objects", "0 to 6"),
        (_author(unseen_twin_objects=3), "spec.microworld.unseen_twin_objects", "-wide"),
    ],
)
async def test_a_spec_that_is_not_allowed_is_refused_by_field(
    stub: Stub, spec: recipe_pb2.DatasetSpec | None, field: str, allowed: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as planned:
        await stub.PlanDataset(dataset_service_pb2.PlanDatasetRequest(spec=spec))
    generate = dataset_service_pb2.GenerateExamplesRequest(spec=spec)
    with pytest.raises(grpc.aio.AioRpcError) as generated:
        await anext(aiter(stub.GenerateExamples(generate)))

    for error in (planned.value, generated.value):
        details = error_details(error)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details.reason == "INVALID_FIELD"
        assert [violation.field for violation in details.violations] == [field]
        assert allowed in details.violations[0].description


async def test_every_field_that_is_wrong_is_named(stub: Stub) -> None:
    spec = _spec(token_budget=0)
    spec.microworld.temptation_share = 3
    spec.microworld.system_prompt_share = -1

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.PlanDataset(dataset_service_pb2.PlanDatasetRequest(spec=spec))

    assert [violation.field for violation in error_details(raised.value).violations] == [
        "spec.token_budget",
        "spec.microworld.temptation_share",
        "spec.microworld.system_prompt_share",
    ]


@pytest.mark.parametrize(
    ("next_index", "cumulative_tokens", "field"),
    [
        (-1, 0, "resume_from.next_index"),
        (1, -1, "resume_from.cumulative_tokens"),
        (0, 10, "resume_from.cumulative_tokens"),
    ],
)
async def test_a_resume_point_that_no_stream_can_have_passed_is_refused(
    stub: Stub, next_index: int, cumulative_tokens: int, field: str
) -> None:
    point = dataset_service_pb2.ResumePoint(
        next_index=next_index, cumulative_tokens=cumulative_tokens
    )

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _generate(stub, _spec(), point)

    assert [v.field for v in error_details(raised.value).violations] == [field]


async def test_a_long_stream_does_not_keep_others_waiting(stub: Stub) -> None:
    request = dataset_service_pb2.GenerateExamplesRequest(spec=_spec(token_budget=HUGE_BUDGET))
    call = stub.GenerateExamples(request)
    num_received = 0

    async def read_on() -> None:
        nonlocal num_received
        async for _ in call:
            num_received += 1

    reading = asyncio.create_task(read_on())
    for _ in range(20):
        await stub.ListRecipes(dataset_service_pb2.ListRecipesRequest(), timeout=5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert num_received > 0


async def test_nothing_is_written_ahead_of_a_reader_and_nothing_after_a_cancel() -> None:
    num_written = 0
    closed = asyncio.Event()

    def open_counting(world: World, settings: GrammarSettings) -> Writer:
        def write(rng: Random) -> Passage:
            nonlocal num_written
            num_written += 1
            return Passage(content=Document(text="<doc> " + "word " * 1000 + "<end>"))

        return write

    recipe = replace(RECIPES["lexicon"], open_writer=open_counting)
    async with open_room({"lexicon": recipe}) as stub:
        spec = _spec("lexicon", HUGE_BUDGET)
        call = stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=spec))
        await anext(aiter(call))
        call.add_done_callback(lambda _: closed.set())

        call.cancel()
        await closed.wait()
        # Other calls are answered after the cancel arrived: same connection, in order.
        for _ in range(5):
            await stub.ListRecipes(dataset_service_pb2.ListRecipesRequest())
        num_when_cancelled = num_written
        for _ in range(20):
            await stub.ListRecipes(dataset_service_pb2.ListRecipesRequest())

    assert num_written == num_when_cancelled
    assert num_written < 20_000
