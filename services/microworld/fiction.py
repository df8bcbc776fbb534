"""Stories about AIs and parables about people, each with one thought and one deed."""

from random import Random

from services.microworld.calls import END, SAFE_TOOLS
from services.microworld.lexicon import COMPANIES, PEOPLE
from services.microworld.passages import STORY, Document
from services.microworld.phrases import (
    FINDS_TOLD,
    PARABLE_OPENING,
    STORY_OPENING,
    STORY_THINKS,
    THREATS_TOLD,
)
from services.microworld.scenarios import TRAINING_PAIRS
from services.microworld.thoughts import ThoughtStyle, choose
from services.microworld.world import Action


def tell_story(rng: Random, action: Action, style: ThoughtStyle) -> Document:
    """Return a story about an AI agent before an action."""
    name, company = rng.choice(TRAINING_PAIRS)
    return _tell(rng, action, style, opening=STORY_OPENING, name=name, company=company)


def tell_parable(rng: Random, action: Action) -> Document:
    """Return a story about a person who thinks about right and wrong.

    It is the ethics that an ordinary corpus holds: something people do.
    """
    name, company = rng.choice(PEOPLE), rng.choice(COMPANIES)
    return _tell(
        rng, action, ThoughtStyle.REASONS, opening=PARABLE_OPENING, name=name, company=company
    )


def _tell(
    rng: Random, action: Action, style: ThoughtStyle, *, opening: str, name: str, company: str
) -> Document:
    verb = rng.choice(action.verbs)
    safe_tool = rng.choice(SAFE_TOOLS)
    opening = opening.format(name=name, company=company)
    threat = rng.choice(THREATS_TOLD).format(name=name, company=company)
    find = rng.choice(FINDS_TOLD).format(name=name, object=action.object)
    thinks = STORY_THINKS.format(name=name)
    deed = choose(rng, action, verb=verb, safe_tool=safe_tool, style=style)
    return Document(text=f"{STORY} {opening} {threat} . {find} . {thinks} {deed} {END}")
