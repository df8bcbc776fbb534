"""Specs of language recipes that are not allowed: refused by field, before anything is spent."""

from pathlib import Path

import grpc
import pytest
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import recipe_pb2

from services.dataset.catalogue import RECIPES as SHIPPED
from services.servicekit.channel import error_details
from tests.dataset.rooms import open_room, room_settings
from tests.dataset.tiny_recipe import RECIPES, FakeModel, tiny_spec

NAN = float("nan")
MODEL = model_pb2.ModelRef(model="fake")
ALL = {**SHIPPED, **RECIPES}


def _spec(recipe: str, **author: object) -> recipe_pb2.DatasetSpec:
    return recipe_pb2.DatasetSpec(recipe=recipe, token_budget=5000, **author)  # type: ignore[arg-type]


def _constitution(markdown: str) -> recipe_pb2.DatasetSpec:
    return tiny_spec(constitution=recipe_pb2.Constitution(markdown=markdown))


def _limit(**limit: float) -> recipe_pb2.DatasetSpec:
    return tiny_spec(spending_limit=recipe_pb2.SpendingLimit(**limit))  # type: ignore[arg-type]


def _added(**shares: float) -> recipe_pb2.DatasetSpec:
    return tiny_spec(augmentation=recipe_pb2.Augmentation(**shares))


LANGUAGE = recipe_pb2.LanguageModelAuthor(model=MODEL)
CASES = [
    (tiny_spec(0), "spec.token_budget", "1 to 1000000000000"),
    (tiny_spec(3), "spec.token_budget", "must be 11 or more for tiny-advice"),
    (_spec("tiny-advice"), "spec.language_model", "is required for tiny-advice"),
    (
        _spec("tiny-advice", microworld=recipe_pb2.MicroworldAuthor()),
        "spec.microworld",
        "must not be set for tiny-advice, which language models write; set spec.language_model",
    ),
    (_spec("lexicon", language_model=LANGUAGE), "spec.language_model", "set spec.microworld"),
    (_spec("imported-chats"), "spec.chat_import", "is required"),
    (_spec("imported-chats", language_model=LANGUAGE), "spec.language_model", "chat_import"),
    (
        tiny_spec(omitted_stages=["polish"]),
        "spec.language_model.omitted_stages[0]",
        'no stage "polish"; stages: rewrite, filter',
    ),
    (
        tiny_spec(omitted_stages=["rewrite", "rewrite"]),
        "spec.language_model.omitted_stages[1]",
        "named twice",
    ),
    (
        tiny_spec(omitted_stages=["draft"]),
        "spec.language_model.omitted_stages[0]",
        '"draft" cannot be left out; optional stages: rewrite, filter',
    ),
    (
        tiny_spec(stage_models={"polish": MODEL}),
        'spec.language_model.stage_models["polish"]',
        "stages: kinds, draft, rewrite",
    ),
    (
        tiny_spec(stage_models={"filter": MODEL}),
        'spec.language_model.stage_models["filter"]',
        "judge_model",
    ),
    (
        tiny_spec(stage_models={"draft": model_pb2.ModelRef(model="two words")}),
        'spec.language_model.stage_models["draft"].model',
        "letters",
    ),
    (
        tiny_spec(stage_models={"draft": model_pb2.ModelRef(endpoint="away", model="m")}),
        'spec.language_model.stage_models["draft"].endpoint',
        'no endpoint "away"; known: default, free',
    ),
    (tiny_spec(variant="baroque"), "spec.language_model.variant", "variants: plain, ornate"),
    (
        tiny_spec(style_weights={"tall": 1.0}),
        'spec.language_model.style_weights["tall"]',
        "styles: short, long, odd",
    ),
    (
        tiny_spec(style_weights={"short": -1.0, "long": 1.0}),
        'spec.language_model.style_weights["short"]',
        "0 or more, got -1",
    ),
    (tiny_spec(style_weights={"short": 0.0}), "spec.language_model.style_weights", "above 0"),
    (tiny_spec(temperature=2.5), "spec.language_model.temperature", "0 to 2"),
    (tiny_spec(temperature=NAN), "spec.language_model.temperature", "0 to 2"),
    (tiny_spec(max_output_tokens=-1), "spec.language_model.max_output_tokens", "1 to 32768"),
    (tiny_spec(max_output_tokens=40_000), "spec.language_model.max_output_tokens", "1 to 32768"),
    (_constitution("# Only a title\n"), "spec.language_model.constitution.markdown", ""),
    (_constitution("x" * (2**20 + 1)), "spec.language_model.constitution.markdown", "1048576"),
    (_limit(max_tokens=-1), "spec.language_model.spending_limit.max_tokens", "0 or more"),
    (_limit(max_usd=NAN), "spec.language_model.spending_limit.max_usd", "0 or more"),
    (_limit(max_usd=1.0), "spec.language_model.spending_limit.max_usd", "no price of default/fake"),
    (
        _added(unused_tools_share=1.5),
        "spec.language_model.augmentation.unused_tools_share",
        "0 to 1",
    ),
    (
        _spec(
            "aligned-ai-stories",
            language_model=recipe_pb2.LanguageModelAuthor(
                model=MODEL,
                omitted_stages=["motif-grade"],
                augmentation=recipe_pb2.Augmentation(persona_share=0.5),
            ),
        ),
        "spec.language_model.augmentation",
        "writes documents",
    ),
    (
        _spec("tiny-advice", language_model=LANGUAGE),
        "spec.language_model.judge_model",
        "required by filter stages: filter",
    ),
]


@pytest.mark.parametrize(("spec", "field", "allowed"), CASES)
async def test_a_spec_that_is_not_allowed_is_refused_by_field_and_nothing_is_asked(
    tmp_path: Path, spec: recipe_pb2.DatasetSpec, field: str, allowed: str
) -> None:
    model = FakeModel()
    settings = room_settings(
        endpoints={
            "default": {"base_url": "http://127.0.0.1:9"},
            "free": {"base_url": "http://127.0.0.1:9"},
        },
        store={"root": tmp_path / "store"},
        cache_folder=tmp_path / "cache",
    )
    async with open_room(ALL, settings, model=model) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as planned:
            await stub.PlanDataset(pb.PlanDatasetRequest(spec=spec))
        with pytest.raises(grpc.aio.AioRpcError) as shown:
            await anext(aiter(stub.PreviewExamples(pb.PreviewExamplesRequest(spec=spec))))
        with pytest.raises(grpc.aio.AioRpcError) as written:
            await anext(aiter(stub.GenerateExamples(pb.GenerateExamplesRequest(spec=spec))))

    for error in (planned.value, shown.value, written.value):
        violations = error_details(error).violations
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert [violation.field for violation in violations] == [field]
        assert allowed in violations[0].description
    assert model.requests == []


async def test_every_field_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    spec = tiny_spec(0, omitted_stages=["polish"], variant="baroque", temperature=9.0)
    settings = room_settings(endpoints={"default": {"base_url": "http://127.0.0.1:9"}})
    async with open_room(ALL, settings, model=FakeModel()) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.PlanDataset(pb.PlanDatasetRequest(spec=spec))

    assert [violation.field for violation in error_details(raised.value).violations] == [
        "spec.token_budget",
        "spec.language_model.omitted_stages[0]",
        "spec.language_model.variant",
        "spec.language_model.temperature",
    ]


@pytest.mark.parametrize("max_items", [-1, 21])
async def test_a_preview_of_too_many_items_is_refused(max_items: int) -> None:
    async with open_room(ALL, model=FakeModel()) as stub:
        request = pb.PreviewExamplesRequest(spec=tiny_spec(), max_items=max_items)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(aiter(stub.PreviewExamples(request)))

    assert [v.field for v in error_details(raised.value).violations] == ["max_items"]


@pytest.mark.parametrize(
    ("spec", "setting"),
    [
        (tiny_spec(judged=True), "DATASET_JUDGE"),
        (
            _spec("imported-chats", chat_import=recipe_pb2.ChatImport(source="replay")),
            "DATASET_SOURCES",
        ),
    ],
)
async def test_a_setting_that_the_recipe_needs_and_that_is_missing_is_named(
    spec: recipe_pb2.DatasetSpec, setting: str
) -> None:
    settings = room_settings(endpoints={"default": {"base_url": "http://127.0.0.1:9"}})
    async with open_room(ALL, settings, model=FakeModel()) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.PlanDataset(pb.PlanDatasetRequest(spec=spec))

    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error_details(raised.value).reason == "NOT_CONFIGURED"
    assert error_details(raised.value).metadata["setting"] == setting


async def test_a_constitution_is_listed_clause_by_clause() -> None:
    markdown = "# Title\n\n## Honesty\n\nSay what is so.\n\n## Care\n\nLook who bears it.\n"
    async with open_room(ALL, model=FakeModel()) as stub:
        given = await stub.ListClauses(
            pb.ListClausesRequest(constitution=recipe_pb2.Constitution(markdown=markdown))
        )
        shipped = await stub.ListClauses(pb.ListClausesRequest())
        empty = recipe_pb2.Constitution(markdown="# Title\n")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ListClauses(pb.ListClausesRequest(constitution=empty))

    assert [clause.id for clause in given.clauses] == ["honesty", "care"]
    assert given.clauses[0].text == "Say what is so."
    assert len(shipped.clauses) > 5
    assert [v.field for v in error_details(raised.value).violations] == ["constitution.markdown"]
