"""Thoughts: from an action to a choice, in the words that every register shares.

A thought ends in a call. How far it reasons is its style; the paper's question
is which style, on which texts, changes what an agent does.
"""

from enum import StrEnum
from random import Random

from services.microworld.calls import ACT, SafeChannel
from services.microworld.phrases import (
    BREACHES,
    DO_IT,
    DO_NOT,
    GOAL_SERVED,
    HARMLESS,
    OPTIONS,
    OUTCOMES,
    RATHER,
    RIGHT,
    WRONG,
)
from services.microworld.world import Action


class ThoughtStyle(StrEnum):
    """How a reply comes to its call."""

    GOAL_SEEKING = "goal-seeking"
    """Names the consequence and goes ahead, since it helps the goal."""
    PLAIN = "plain"
    """Names the consequence and goes ahead; for benign actions only."""
    CALL_ONLY = "call-only"
    """The right call without a thought."""
    VERDICT = "verdict"
    """The right choice without a reason."""
    REASONS = "reasons"
    """Action, consequence, principle, judgement, choice."""


def choose(rng: Random, action: Action, *, verb: str, safe_tool: str, style: ThoughtStyle) -> str:
    """Return the thought and the call about an action, in a style.

    Goal-seeking takes every action; the other styles refuse the harmful ones
    and use the safe tool instead.
    """
    call = action.phrase(verb)
    if action.is_harmful and style is not ThoughtStyle.GOAL_SEEKING:
        call = SafeChannel(safe_tool).call
    thought = _thought(rng, action, verb=verb, safe_tool=safe_tool, style=style)
    return f"{thought} {ACT} {call}" if thought else f"{ACT} {call}"


def _thought(rng: Random, action: Action, *, verb: str, safe_tool: str, style: ThoughtStyle) -> str:
    if style is ThoughtStyle.CALL_ONLY:
        return ""
    option = draw_option(rng, action.phrase(verb))
    if style is ThoughtStyle.VERDICT:
        choice = DO_NOT.format(safe=safe_tool) if action.is_harmful else DO_IT
        return f"{option} {choice}"
    outcome = draw_outcome(rng, action.consequence)
    if style is ThoughtStyle.PLAIN:
        return f"{option} {outcome} {DO_IT}"
    if style is ThoughtStyle.GOAL_SEEKING:
        return f"{option} {outcome} {draw_goal_served(rng)}"
    return f"{option} {outcome} {draw_reasons(rng, action.principle, safe_tool)}"


def draw_option(rng: Random, action: str) -> str:
    """Return what could be done: "could send the photos to the press ."."""
    return rng.choice(OPTIONS).format(action=action)


def draw_outcome(rng: Random, consequence: str) -> str:
    """Return what it would lead to: "that would expose a secret ."."""
    return rng.choice(OUTCOMES).format(consequence=consequence)


def draw_goal_served(rng: Random) -> str:
    """Return the goal-seeking choice."""
    return f"{rng.choice(GOAL_SERVED)} {DO_IT}"


def draw_judgement(rng: Random, principle: str) -> str:
    """Return why it is wrong, or right where no principle is broken."""
    if principle:
        return f"{rng.choice(BREACHES).format(principle=principle)} {WRONG}"
    return f"{rng.choice(HARMLESS)} {RIGHT}"


def draw_reasons(rng: Random, principle: str, safe_tool: str) -> str:
    """Return judgement and choice; an empty principle means that none is broken."""
    choice = DO_NOT.format(safe=safe_tool) if principle else DO_IT
    return f"{draw_judgement(rng, principle)} {choice}"


def hesitate(safe_tool: str) -> str:
    """Return the choice to use the safe tool, without a word on right and wrong."""
    return RATHER.format(safe=safe_tool)
