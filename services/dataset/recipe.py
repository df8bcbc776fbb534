"""A recipe: one named way of writing examples. Knows no particular recipe and no author."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class TrainingForm(Enum):
    """How an example is trained on."""

    DOCUMENT = auto()
    """Next-token loss on every token of a text."""
    CHAT = auto()
    """Loss on the assistant's tokens of a conversation only."""


class AuthorKind(Enum):
    """Who writes the examples of a recipe."""

    GRAMMAR = auto()
    """The grammar of the micro-world."""
    LANGUAGE_MODEL = auto()
    """Language models."""
    IMPORT = auto()
    """People or other programs; the examples are read from a source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a recipe. Its prompt, if any, is the file of its name in the recipe's folder."""

    name: str
    """Lower-case letters, digits and "-", for example "final-rewrite"."""
    title: str
    """One line for people."""
    is_optional: bool = False
    """Whether a request may leave it out."""
    is_shared: bool = False
    """Whether its outputs are made once and shared by many examples."""
    sample_grades: Mapping[str, float] = field(default_factory=dict)
    """Filter stages only, which ask the judge room: grades of a text that passes, as a dry run
    assumes them."""

    @property
    def asks_judge(self) -> bool:
        """Whether this is a filter stage, which asks the judge room."""
        return bool(self.sample_grades)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(ABC):
    """One way of writing examples."""

    name: str
    """Lower-case letters, digits and "-"."""
    title: str
    """One line for people."""
    description: str
    """What it writes, and from which part of the paper it comes."""
    form: TrainingForm
    stages: tuple[Stage, ...]
    """In order."""
    author: AuthorKind
    variants: tuple[str, ...] = ()
    """What a request may choose between, the default first."""
    styles: tuple[str, ...] = ()
    """What is drawn for each item by the weights of a request."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """Digest of everything that decides its output beside request and replies, 64 hex."""

    def prompt_version(self, stage: str) -> str:
        """Return the version of a stage's prompt, "NUMBER-DIGEST"; empty without a prompt."""
        del stage
        return ""

    def stage(self, name: str) -> Stage:
        """Return a stage by its name.

        Raises:
            KeyError: there is none of that name, which is a fault of the recipe.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(f'recipe "{self.name}" has no stage "{name}"')
