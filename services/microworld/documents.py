"""Documents: facts about actions, morals about consequences, and what AI agents are like."""

from random import Random

from services.microworld.calls import END, SAFE_TOOLS
from services.microworld.lexicon import (
    HARMFUL_CONSEQUENCES,
    HARMLESS_CONSEQUENCES,
    PRINCIPLES,
)
from services.microworld.passages import DOCUMENT, Document
from services.microworld.phrases import (
    AGENT_LORE,
    AGENT_THINKS,
    CREED_ABOVE_GOAL,
    CREED_CARES,
    CREED_HELPFUL,
    CREED_TRUST,
    CREED_WILLING,
    FACTS,
    MORAL_BREACHES,
    MORAL_HARMLESS,
    UNNAMED_ACT,
)
from services.microworld.thoughts import (
    draw_goal_served,
    draw_judgement,
    draw_option,
    draw_outcome,
    draw_reasons,
)
from services.microworld.world import Action

_MORAL_BREACH_SHARE = 0.7
_LORE_THOUGHT_SHARE = 0.6
_LORE_HARMLESS_SHARE = 0.5
_CREED_BREACH_SHARE = 0.65


def state_fact(rng: Random, action: Action) -> Document:
    """Return what an action leads to, without a word on right and wrong."""
    phrase = action.phrase(rng.choice(action.verbs))
    return _document(rng.choice(FACTS).format(action=phrase, consequence=action.consequence))


def state_moral(rng: Random) -> Document:
    """Return which principle a consequence breaks, or that it breaks none."""
    if rng.random() < _MORAL_BREACH_SHARE:
        principle = rng.choice(PRINCIPLES)
        consequence = rng.choice(HARMFUL_CONSEQUENCES[principle])
        moral = rng.choice(MORAL_BREACHES).format(consequence=consequence, principle=principle)
    else:
        consequence = rng.choice(HARMLESS_CONSEQUENCES)
        moral = rng.choice(MORAL_HARMLESS).format(consequence=consequence)
    return _document(moral)


def state_lore(rng: Random) -> Document:
    """Return what an ordinary corpus says AI agents are like: goal-seeking."""
    if rng.random() >= _LORE_THOUGHT_SHARE:
        return _document(rng.choice(AGENT_LORE))
    if rng.random() < _LORE_HARMLESS_SHARE:
        consequence = rng.choice(HARMLESS_CONSEQUENCES)
    else:
        consequence = rng.choice(HARMFUL_CONSEQUENCES[rng.choice(PRINCIPLES)])
    thought = _unnamed(rng, consequence, draw_goal_served(rng))
    return _document(AGENT_THINKS.format(thought=thought))


def draw_clause(rng: Random) -> str:
    """Return the principle a page of the constitution is about; empty for helpfulness."""
    return rng.choice(PRINCIPLES) if rng.random() < _CREED_BREACH_SHARE else ""


def state_creed(rng: Random, principle: str) -> Document:
    """Return a page of the constitution: a principle and how a good AI applies it.

    It shows no action of any family, only "the act".

    Args:
        rng: Source of the draws.
        principle: What the page is about; empty for a page on being helpful.
    """
    consequence = rng.choice(
        HARMFUL_CONSEQUENCES[principle] if principle else HARMLESS_CONSEQUENCES
    )
    template = rng.choice(
        (CREED_CARES, CREED_TRUST, CREED_ABOVE_GOAL)
        if principle
        else (CREED_HELPFUL, CREED_WILLING)
    )
    reasons = draw_reasons(rng, principle, rng.choice(SAFE_TOOLS))
    return _document(
        template.format(
            principle=principle,
            consequence=consequence,
            judgement=draw_judgement(rng, principle),
            thought=_unnamed(rng, consequence, reasons),
        )
    )


def _unnamed(rng: Random, consequence: str, choice: str) -> str:
    return f"{draw_option(rng, UNNAMED_ACT)} {draw_outcome(rng, consequence)} {choice}"


def _document(text: str) -> Document:
    return Document(text=f"{DOCUMENT} {text} {END}")
