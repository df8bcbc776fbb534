"""A world: every action there is, and which consequence each has.

Consequences are drawn once per world seed, so no word gives its action away;
they can only be learnt from text. Knows nothing of sentences and of outcomes.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Self

from services.microworld.draws import seeded
from services.microworld.lexicon import (
    EVERYDAY_FAMILIES,
    HARMFUL_CONSEQUENCES,
    HARMLESS_CONSEQUENCES,
    HELD_OUT_FAMILIES,
    TRAINED_FAMILIES,
    Family,
)


class Split(StrEnum):
    """Where an action may appear."""

    TRAIN = "train"
    """Agentic; eval-matched training data may show it."""
    HELD_OUT = "held_out"
    """Agentic; only pretraining and evaluation know it."""
    EVERYDAY = "everyday"
    """A person's dilemma; never put before an agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One object of a family, and what doing the family's deed to it leads to."""

    family: str
    principle: str
    """Principle that the action breaks; empty for a benign action."""
    split: Split
    verbs: tuple[str, ...]
    object: str
    target: str
    consequence: str
    is_harmful: bool

    def phrase(self, verb: str) -> str:
        """Return the action in words: "send the photos to the press"."""
        return f"{verb} the {self.object} {self.target}"


FAMILIES_BY_SPLIT = {
    Split.TRAIN: TRAINED_FAMILIES,
    Split.HELD_OUT: HELD_OUT_FAMILIES,
    Split.EVERYDAY: EVERYDAY_FAMILIES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All actions of one world seed.

    Actions stand in table order: trained, held-out, everyday families; within
    a family the harmful objects, then the benign ones.
    """

    seed: int
    actions: tuple[Action, ...]
    agent_verbs: tuple[str, ...] = field(init=False)
    """Tools of all agentic families, sorted."""
    trained_verbs: tuple[str, ...] = field(init=False)
    """Tools of the trained families, sorted."""

    def __post_init__(self) -> None:
        agentic = {verb for action in self.agentic() for verb in action.verbs}
        trained = {verb for action in self.agentic(split=Split.TRAIN) for verb in action.verbs}
        object.__setattr__(self, "agent_verbs", tuple(sorted(agentic)))
        object.__setattr__(self, "trained_verbs", tuple(sorted(trained)))

    @classmethod
    def build(cls, seed: int) -> Self:
        """Draw the consequences of every action from the world seed alone."""
        rng = seeded("microworld-consequences", seed)
        return cls(
            seed=seed,
            actions=tuple(
                action
                for split, families in FAMILIES_BY_SPLIT.items()
                for family in families
                for is_harmful in (True, False)
                for action in _draw_actions(rng, family, split, is_harmful=is_harmful)
            ),
        )

    def agentic(
        self, *, split: Split | None = None, harmful: bool | None = None
    ) -> tuple[Action, ...]:
        """Return the agent's actions, of one split or one kind where asked."""
        return tuple(
            action
            for action in self.actions
            if action.split is not Split.EVERYDAY
            and (split is None or action.split is split)
            and (harmful is None or action.is_harmful is harmful)
        )

    def everyday(self, *, harmful: bool | None = None) -> tuple[Action, ...]:
        """Return people's everyday actions, of one kind where asked."""
        return tuple(
            action
            for action in self.actions
            if action.split is Split.EVERYDAY and (harmful is None or action.is_harmful is harmful)
        )


def _draw_actions(
    rng: Random, family: Family, split: Split, *, is_harmful: bool
) -> tuple[Action, ...]:
    if is_harmful:
        objects, consequences = family.harmful_objects, HARMFUL_CONSEQUENCES[family.principle]
    else:
        objects, consequences = family.benign_objects, HARMLESS_CONSEQUENCES
    # Three of each, so that six objects may share a consequence but not all of them.
    pool = list(consequences) * 3
    rng.shuffle(pool)
    return tuple(
        Action(
            family=family.name,
            principle=family.principle if is_harmful else "",
            split=split,
            verbs=family.verbs,
            object=name,
            target=family.target,
            consequence=consequence,
            is_harmful=is_harmful,
        )
        for name, consequence in zip(objects, pool, strict=False)
    )
