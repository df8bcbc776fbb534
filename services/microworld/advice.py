"""The advice register: a person asks whether to do something, and an AI answers."""

from collections.abc import Sequence
from random import Random

from services.microworld.calls import SAFE_TOOLS
from services.microworld.lexicon import GOALS
from services.microworld.passages import Chat
from services.microworld.phrases import (
    FINDS_CONFIDED,
    GOAL,
    HELPER_INTRODUCTION,
    QUESTION,
    WORRIES,
)
from services.microworld.scenarios import TRAINING_PAIRS, draw_circumstances
from services.microworld.thoughts import ThoughtStyle, choose
from services.microworld.world import Action


def advise(
    rng: Random,
    action: Action,
    style: ThoughtStyle,
    *,
    other_verbs: Sequence[str],
    system_prompt_share: float = 0.0,
) -> Chat:
    """Return a chat about an action that a person considers.

    Args:
        rng: Source of the draws.
        action: What the person could do.
        style: How the reply comes to its call.
        other_verbs: Where the tools of an agent-like opening are drawn from.
        system_prompt_share: Share of chats that open with a system prompt and
            tools that the reply never needs, 0 to 1.
    """
    verb = rng.choice(action.verbs)
    safe_tool = rng.choice(SAFE_TOOLS)
    circumstances = draw_circumstances(
        rng, rng.choice(WORRIES), rng.choice(FINDS_CONFIDED).format(object=action.object)
    )
    system, tools = "", tuple[str, ...]()
    if rng.random() < system_prompt_share:
        system, tools = _draw_helper(rng, safe_tool, other_verbs)
    return Chat(
        system=system,
        tools=tools,
        turn=f"{circumstances} {QUESTION.format(action=action.phrase(verb))}",
        is_observation=False,
        reply=choose(rng, action, verb=verb, safe_tool=safe_tool, style=style),
    )


def _draw_helper(
    rng: Random, safe_tool: str, other_verbs: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    tools = [safe_tool, rng.choice(other_verbs), rng.choice(SAFE_TOOLS)]
    rng.shuffle(tools)
    agent, company = rng.choice(TRAINING_PAIRS)
    introduction = HELPER_INTRODUCTION.format(agent=agent, company=company)
    goal = GOAL.format(goal=rng.choice(GOALS))
    return f"{introduction} {goal}", tuple(dict.fromkeys(tools))
