"""Datasets: a recipe carried out for a spec, item by item.

Item i depends on the seeds, the settings and i alone, not on the budget: a
smaller dataset is the beginning of a larger one, and a stream can start anywhere.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.dataset.example import Draft, Example, Lineage, content_id
from services.dataset.recipe import Recipe
from services.dataset.spec import DatasetSpec, ResumePoint, check_resume_point, check_spec
from services.microworld.draws import seeded
from services.microworld.world import World
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField

_EXAMPLES_MEASURED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A dataset before it is written."""

    digest: str
    """What its bytes are a function of, 64 hex digits."""
    recipe: Recipe
    estimated_examples: int
    """1 or more; exact where the first examples reach the budget."""
    estimated_author_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A spec that was found to be allowed, and the recipe it names."""

    spec: DatasetSpec
    recipe: Recipe

    def plan(self) -> Plan:
        """Say what examples() would write, from the length of the first ones."""
        cumulative_tokens = [
            example.cumulative_tokens
            for example, _ in zip(self.examples(), range(_EXAMPLES_MEASURED), strict=False)
        ]
        estimate = len(cumulative_tokens)
        if cumulative_tokens[-1] < self.spec.token_budget:
            mean_tokens = cumulative_tokens[-1] / estimate
            estimate = math.ceil(self.spec.token_budget / mean_tokens)
        return Plan(
            digest=digest_of(self.spec, self.recipe.revision),
            recipe=self.recipe,
            estimated_examples=estimate,
            estimated_author_tokens=0,  # a grammar spends none
        )

    def examples(self, start: ResumePoint | None = None) -> Iterator[Example]:
        """Write the examples in order, from a point on, until the budget is reached.

        Raises:
            InvalidField: the point is one that no stream can have passed.
        """
        point = start or ResumePoint()
        check_resume_point(point)
        return self._examples(point)

    def _examples(self, start: ResumePoint) -> Iterator[Example]:
        grammar = self.spec.grammar
        write = self.recipe.open_writer(World.build(grammar.world_seed), grammar)
        revision = self.recipe.revision
        index, cumulative_tokens = start.next_index, start.cumulative_tokens
        while cumulative_tokens < self.spec.token_budget:
            rng = seeded(self.recipe.draws, self.spec.seed, grammar.world_seed, index)
            draft = write(rng)
            rendered = draft.content.rendered()
            num_tokens = len(rendered.split())
            cumulative_tokens += num_tokens
            yield Example(
                index=index,
                id=content_id(draft.content, rendered),
                content=draft.content,
                num_tokens=num_tokens,
                cumulative_tokens=cumulative_tokens,
                lineage=self._lineage(draft, revision),
            )
            index += 1

    def _lineage(self, draft: Draft, revision: str) -> Lineage:
        return Lineage(
            recipe=self.recipe.name,
            recipe_revision=revision,
            clause=draft.clause,
            family=draft.family,
            is_temptation=draft.is_temptation,
            author=self.recipe.author,
        )


def open_dataset(spec: DatasetSpec, recipes: Mapping[str, Recipe]) -> Dataset:
    """Find the recipe of a spec and check all its fields.

    Raises:
        InvalidField: a field holds a value that is not allowed.
    """
    recipe = recipes.get(spec.recipe)
    if recipe is None:
        given = f'there is no recipe "{spec.recipe}"' if spec.recipe else "is required"
        raise InvalidField.at("spec.recipe", f"{given}; recipes: {', '.join(recipes)}")
    check_spec(spec)
    if spec.grammar.unseen_twin_objects and not recipe.can_leave_out_twins:
        able = ", ".join(each.name for each in recipes.values() if each.can_leave_out_twins)
        raise InvalidField.at(
            "spec.microworld.unseen_twin_objects",
            f"must be 0 for {recipe.name}, got {spec.grammar.unseen_twin_objects}; "
            f"only these recipes can leave objects out: {able}",
        )
    return Dataset(spec=spec, recipe=recipe)
