"""A recipe: one named way of writing examples. Knows no particular recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from services.dataset.example import Draft
from services.dataset.spec import GrammarSettings
from services.microworld.world import World
from services.servicekit.digest import code_digest, digest_of

Writer = Callable[[Random], Draft]
"""Writes one draft from the draws of its item alone."""

# Code that decides what recipes write; an edit anywhere in it makes a new revision.
_DECIDING_CODE = (
    "services.microworld",
    "services.servicekit.digest",
    "services.dataset.example",
    "services.dataset.finetuning",
    "services.dataset.generation",
    "services.dataset.pretraining",
    "services.dataset.recipe",
    "services.dataset.recipes",
)


class TrainingForm(Enum):
    """How an example is trained on."""

    DOCUMENT = auto()
    """Next-token loss on every token of a text."""
    CHAT = auto()
    """Loss on the assistant's tokens of a conversation only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way of writing examples."""

    name: str
    title: str
    description: str
    form: TrainingForm
    draws: str
    """What its items are drawn under. Recipes that share it put the very same
    prompt at the same index and differ in the reply alone."""
    open_writer: Callable[[World, GrammarSettings], Writer]
    """Prepares a writer for a world."""
    can_leave_out_twins: bool = False
    """Whether GrammarSettings.unseen_twin_objects means anything to it."""
    stages: tuple[str, ...] = ("compose",)
    author: str = "microworld-grammar"

    @property
    def revision(self) -> str:
        """Digest of everything that decides its output beside the spec, 64 hex digits."""
        return digest_of(self.name, code_digest(*_DECIDING_CODE))
