"""Every recipe there is, ordered by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.dataset.grammar.recipes import GRAMMAR_RECIPES
from services.dataset.imported.recipe import IMPORTED_CHATS
from services.dataset.recipe import Recipe
from services.dataset.recipes import (
    aligned_ai_stories,
    constitutional_documents,
    difficult_advice,
    document_chats,
    synthetic_honeypots,
    values_questions,
)

_RECIPES: tuple[Recipe, ...] = (
    *GRAMMAR_RECIPES.values(),
    aligned_ai_stories.RECIPE,
    constitutional_documents.RECIPE,
    difficult_advice.RECIPE,
    document_chats.RECIPE,
    IMPORTED_CHATS,
    synthetic_honeypots.RECIPE,
    values_questions.RECIPE,
)

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {recipe.name: recipe for recipe in sorted(_RECIPES, key=lambda recipe: recipe.name)}
)
"""Recipes by name, ordered by name."""
