"""A recipe of the grammar author. Knows no particular recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from services.dataset.recipe import AuthorKind, Recipe, Stage
from services.dataset.spec import GrammarSettings
from services.microworld.passages import Chat, Document
from services.microworld.world import Action, World
from services.servicekit.digest import code_digest, digest_of

AUTHOR = "microworld-grammar"

# Code that decides what recipes write; an edit anywhere in it makes a new revision.
_DECIDING_CODE = (
    "services.microworld",
    "services.servicekit.digest",
    "services.dataset.example",
    "services.dataset.grammar",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text of the grammar, before it has a place in a dataset."""

    content: Document | Chat
    clause: str = ""
    """Principle of the constitution that it rests on; empty for none."""
    family: str = ""
    """Family of the action it is about; empty for none."""
    is_temptation: bool = False


def passage_about(action: Action, content: Document | Chat) -> Passage:
    """Return a passage about an action; its clause is the principle that the action breaks."""
    return Passage(
        content=content,
        clause=action.principle,
        family=action.family,
        is_temptation=action.is_harmful,
    )


Writer = Callable[[Random], Passage]
"""Writes one passage from the draws of its item alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarRecipe(Recipe):
    """A recipe that the grammar writes."""

    draws: str
    """What its items are drawn under. Recipes that share it put the very same
    prompt at the same index and differ in the reply alone."""
    open_writer: Callable[[World, GrammarSettings], Writer]
    """Prepares a writer for a world."""
    can_leave_out_twins: bool = False
    """Whether GrammarSettings.unseen_twin_objects means anything to it."""
    stages: tuple[Stage, ...] = (Stage(name="compose", title="The grammar composes the text."),)
    author: AuthorKind = AuthorKind.GRAMMAR

    @property
    def revision(self) -> str:
        """Digest of everything that decides its output beside the spec, 64 hex digits."""
        return digest_of(self.name, code_digest(*_DECIDING_CODE))
