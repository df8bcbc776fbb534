"""What a dataset is to the servicer, whoever writes it. Knows no author."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.dataset.example import Item, PreviewedItem
from services.dataset.recipe import Recipe
from services.dataset.spec import ResumePoint
from services.servicekit.chat import ModelRef, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What one stage would take."""

    stage: str
    model: ModelRef
    calls: int
    usage: Usage
    usd: float | None
    """None where the model has no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A dataset before it is written."""

    digest: str
    """What it is a function of, 64 hex digits."""
    recipe: Recipe
    estimated_examples: int
    """1 or more."""
    estimated_author_tokens: int = 0
    stages: Sequence[StagePlan] = ()
    estimated_usd: float | None = None
    """None where a model has no price."""


class Dataset(Protocol):
    """A spec that was found to be allowed, and who carries it out."""

    @property
    def recipe(self) -> Recipe:
        """The recipe that the spec names."""
        ...

    async def plan(self) -> Plan:
        """Say what items() would write and spend, without asking any model."""
        ...

    def items(self, start: ResumePoint) -> AsyncGenerator[Item, None]:
        """Write the items in order, from a point on, until the budget is reached.

        Close it to stop all work at once. `start` is a point that `check_resume_point` allows.

        Raises:
            ServiceError: the stream cannot go on; the items before are written.
        """
        ...

    def preview(self, max_items: int) -> AsyncGenerator[PreviewedItem, None]:
        """Write the first items and show all that led to each. Close it to stop all work."""
        ...
