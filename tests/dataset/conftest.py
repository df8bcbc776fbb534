"""Ways to write examples without a server, and the room as a server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from services.dataset.grammar.dataset import GrammarDataset
from services.dataset.grammar.recipes import GRAMMAR_RECIPES
from services.dataset.spec import MAX_TOKEN_BUDGET, DatasetSpec, GrammarSettings, ResumePoint
from tests.dataset.rooms import (
    Stub,
    WriteExamples,
    WrittenItem,
    grammar_dataset,
    open_room,
    room_settings,
)
from tests.dataset.tiny_recipe import RECIPES, FakeGrader, FakeModel
from tests.dataset.tiny_streams import ENDPOINT, OpenTinyRoom


@pytest.fixture
def write_examples() -> WriteExamples:
    """The first examples of a recipe, whatever the budget."""

    def write(
        recipe: str, count: int, *, seed: int = 0, grammar: GrammarSettings | None = None
    ) -> list[WrittenItem]:
        dataset = GrammarDataset(
            spec=DatasetSpec(recipe=recipe, seed=seed, token_budget=MAX_TOKEN_BUDGET),
            recipe=GRAMMAR_RECIPES[recipe],
            settings=grammar or GrammarSettings(),
        )
        pairs = zip(dataset.examples(ResumePoint()), dataset.passages(0), strict=False)
        return [
            WrittenItem(example=example, content=passage.content)
            for example, passage in islice(pairs, count)
        ]

    return write


@pytest.fixture
def small_dataset() -> Callable[[str], GrammarDataset]:
    """A dataset of a recipe with some dozens of examples."""
    return lambda recipe: grammar_dataset(recipe, token_budget=3000)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """The room with its recipes."""
    async with open_room(GRAMMAR_RECIPES) as opened:
        yield opened


@pytest.fixture(params=sorted(GRAMMAR_RECIPES))
def recipe_name(request: pytest.FixtureRequest) -> str:
    """Every recipe of the grammar in turn."""
    name: str = request.param
    return name


@pytest.fixture
def tiny_room(tmp_path: Path) -> OpenTinyRoom:
    """Rooms that share a store, one after the other."""

    @asynccontextmanager
    async def opened(
        model: FakeModel, grader: FakeGrader | None = None, **chosen: object
    ) -> AsyncIterator[Stub]:
        settings = room_settings(
            endpoints={"default": ENDPOINT},
            store={"root": tmp_path / "store"},
            cache_folder=tmp_path / "cache",
            **chosen,
        )
        async with open_room(RECIPES, settings, model=model, grader=grader) as stub:
            yield stub

    return opened
