"""Opens datasets: finds the recipe of a spec, checks all its fields, and says who writes."""

from collections.abc import Mapping
from functools import lru_cache

from services.dataset.authoring.dataset import open_language_dataset
from services.dataset.authoring.desk import Order
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.checks import check_spec
from services.dataset.constitution.clauses import (
    Constitution,
    read_constitution,
    shipped_constitution,
)
from services.dataset.dataset import Dataset
from services.dataset.grammar.dataset import GrammarDataset
from services.dataset.grammar.recipe import GrammarRecipe
from services.dataset.imported.dataset import ImportedDataset
from services.dataset.imported.recipe import ImportRecipe
from services.dataset.recipe import Recipe
from services.dataset.spec import (
    ConstitutionSource,
    DatasetSpec,
    GrammarSettings,
    ImportSettings,
    LanguageSettings,
)
from services.dataset.studio import Studio
from services.servicekit.errors import InvalidField, NotConfigured

LANGUAGE_CONSTITUTION = "spec.language_model.constitution"

_CONSTITUTIONS_KEPT = 8


class Datasets:
    """Every dataset that this room can write."""

    def __init__(self, recipes: Mapping[str, Recipe], studio: Studio) -> None:
        """Open datasets of these recipes, with what the studio has."""
        self.recipes = recipes
        self._studio = studio

    async def open(self, spec: DatasetSpec) -> Dataset:
        """Open a spec.

        Raises:
            InvalidField: a field holds a value that is not allowed.
            NotConfigured: the settings lack what the recipe needs.
        """
        recipe = self.recipes.get(spec.recipe)
        if recipe is None:
            given = f'there is no recipe "{spec.recipe}"' if spec.recipe else "is required"
            raise InvalidField.at("spec.recipe", f"{given}; recipes: {', '.join(self.recipes)}")
        check_spec(
            spec,
            recipe,
            endpoints=self._studio.endpoints,
            has_price=lambda model: self._studio.price_of(model) is not None,
        )
        match recipe, spec.author:
            case LanguageRecipe(), LanguageSettings() as settings:
                return await self._open_language(spec, recipe, settings)
            case ImportRecipe(), ImportSettings() as chosen:
                return ImportedDataset(
                    spec=spec,
                    recipe=recipe,
                    settings=chosen,
                    source=await self._studio.sources.open(chosen.source),
                    counter=await self._studio.counter(),
                )
            case GrammarRecipe(), author:
                grammar = author if isinstance(author, GrammarSettings) else GrammarSettings()
                self._check_twins(recipe, grammar)
                return GrammarDataset(spec=spec, recipe=recipe, settings=grammar)
        raise TypeError(f'recipe "{recipe.name}" is of an unknown kind')

    async def _open_language(
        self, spec: DatasetSpec, recipe: LanguageRecipe, settings: LanguageSettings
    ) -> Dataset:
        filters = [stage.name for stage in recipe.stages if stage.asks_judge]
        included = [name for name in filters if name not in settings.omitted_stages]
        if included and self._studio.grader is None:
            raise NotConfigured(
                "DATASET_JUDGE", f'stage "{included[0]}" asks the judge room; it can be left out'
            )
        order = Order(
            recipe=recipe,
            settings=settings,
            constitution=find_constitution(settings.constitution, LANGUAGE_CONSTITUTION),
            seed=spec.seed,
        )
        return await open_language_dataset(spec, order, await self._studio.workshop())

    def _check_twins(self, recipe: GrammarRecipe, grammar: GrammarSettings) -> None:
        if grammar.unseen_twin_objects and not recipe.can_leave_out_twins:
            able = ", ".join(
                each.name
                for each in self.recipes.values()
                if isinstance(each, GrammarRecipe) and each.can_leave_out_twins
            )
            raise InvalidField.at(
                "spec.microworld.unseen_twin_objects",
                f"must be 0 for {recipe.name}, got {grammar.unseen_twin_objects}; "
                f"only these recipes can leave objects out: {able}",
            )


@lru_cache(maxsize=_CONSTITUTIONS_KEPT)
def find_constitution(source: ConstitutionSource, request_field: str) -> Constitution:
    """Read the constitution of a request, or the one that the project ships.

    Raises:
        InvalidField: below request_field, when the text has no clauses.
    """
    markdown = source.markdown or shipped_constitution()
    return read_constitution(markdown, source.chunking, request_field=request_field)
