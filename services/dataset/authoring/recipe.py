"""Recipes that language models carry out."""

import ast
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from services.dataset.authoring.prompts import PROMPTS, Prompt, load_prompts
from services.dataset.example import Draft
from services.dataset.recipe import AuthorKind, Recipe
from services.servicekit.digest import code_digest, digest_of

if TYPE_CHECKING:
    from services.dataset.authoring.pen import Pen

AUGMENTATION_PROMPTS = "augmentation"
"""Folder of the prompts that chat recipes share."""

# Code that decides what language recipes write beside their own modules and prompts.
_DECIDING_CODE = (
    "services.dataset.authoring",
    "services.dataset.constitution.blocks",
    "services.dataset.constitution.clauses",
    "services.dataset.decks",
    "services.dataset.example",
)
_RECIPES = "services.dataset.recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRecipe(Recipe):
    """A recipe that writes each item with a pen."""

    write: Callable[["Pen"], Awaitable[Draft]]
    """Writes one item. It may depend on the pen alone: no clock, no other randomness, no state."""
    takes_augmentation: bool = False
    """Chat recipes only: whether `write` heeds Pen.augmentation. The prompts of the folder
    "augmentation" are then found beside its own."""
    draws: str = ""
    """What its items are drawn under; empty means its name. Recipes that share it draw the same
    at the same index, and stages that they share ask the same of the same model."""
    author: AuthorKind = AuthorKind.LANGUAGE_MODEL
    prompts_root: Path = PROMPTS
    """Folder that holds the folder of its prompts."""

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """Prompts by the name of their stage."""
        own = load_prompts(self.name, self.prompts_root)
        return {**load_prompts(AUGMENTATION_PROMPTS), **own} if self.takes_augmentation else own

    @property
    def revision(self) -> str:
        """Digest of its code, its prompts and the code that carries it out, 64 hex digits."""
        modules = (*_DECIDING_CODE, *recipe_modules(self.write.__module__))
        digests = {name: prompt.digest for name, prompt in self.prompts.items()}
        return digest_of(self.name, code_digest(*modules), digests)

    def prompt_version(self, stage: str) -> str:
        """Return the version of a stage's prompt; empty without a prompt."""
        prompt = self.prompts.get(stage)
        return prompt.version if prompt else ""


@cache
def recipe_modules(module: str) -> tuple[str, ...]:
    """Return a recipe's module and those of the recipes' package that it imports, sorted."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [each for each in _imports(name) if each.startswith(f"{_RECIPES}.")]
    return tuple(sorted(found))


def _imports(module: str) -> Iterator[str]:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"cannot read {module}: it has no file", name=module)
    for node in ast.walk(ast.parse(Path(spec.origin).read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module == _RECIPES:
            yield from (f"{_RECIPES}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
