"""Ways to write examples without a server, and the room as a server."""

from collections.abc import AsyncIterator, Callable
from itertools import islice

import pytest

from services.dataset.example import Example
from services.dataset.generation import Dataset, open_dataset
from services.dataset.recipes import RECIPES
from services.dataset.spec import MAX_TOKEN_BUDGET, DatasetSpec, GrammarSettings
from tests.dataset.rooms import Stub, WriteExamples, open_room


@pytest.fixture
def write_examples() -> WriteExamples:
    """The first examples of a recipe, whatever the budget."""

    def write(
        recipe: str, count: int, *, seed: int = 0, grammar: GrammarSettings | None = None
    ) -> list[Example]:
        spec = DatasetSpec(
            recipe=recipe,
            seed=seed,
            token_budget=MAX_TOKEN_BUDGET,
            grammar=grammar or GrammarSettings(),
        )
        return list(islice(open_dataset(spec, RECIPES).examples(), count))

    return write


@pytest.fixture
def small_dataset() -> Callable[[str], Dataset]:
    """A dataset of a recipe with some dozens of examples."""
    return lambda recipe: open_dataset(DatasetSpec(recipe=recipe, token_budget=3000), RECIPES)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """The room with its recipes."""
    async with open_room(RECIPES) as opened:
        yield opened


@pytest.fixture(params=sorted(RECIPES))
def recipe_name(request: pytest.FixtureRequest) -> str:
    """Every recipe in turn."""
    name: str = request.param
    return name
