"""Batches: items next to each other that one call writes together. Knows no recipe."""

from dataclasses import dataclass
from random import Random

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.seeds import seed_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The batch of an item."""

    number: int
    """0 or more."""
    place: int
    """Of the item in its batch, from 0."""
    rng: Random
    """Draws alike for every item of the batch; fresh for each, so each draws all from the start."""


def join_batch(pen: Pen, size: int) -> Batch:
    """Let an item take the clause and the style of its batch of a size.

    A batch has those that the item of the batch's number would have, so that clauses are covered
    evenly by batches and styles keep their weights.
    """
    number, place = divmod(pen.index, size)
    leader = Pen(pen._desk, number)  # noqa: SLF001  # until pens know of other items
    pen.clause = leader.clause
    pen.style = leader.style
    rng = Random(seed_of("batch", leader.seed))  # noqa: S311  # repeatable on purpose
    return Batch(number=number, place=place, rng=rng)
