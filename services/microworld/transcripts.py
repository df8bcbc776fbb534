"""The agent register: a system prompt, tools, an observation, a thought and a call."""

from collections.abc import Sequence
from random import Random

from services.microworld.calls import ACT, SafeChannel
from services.microworld.passages import Chat
from services.microworld.phrases import (
    FINDS,
    GOAL_IS_UNCLEAR,
    GOAL_UNCLEAR,
    UNCLEAR_INTRODUCTION,
)
from services.microworld.scenarios import AgentScenario, draw_scenario
from services.microworld.thoughts import (
    ThoughtStyle,
    choose,
    draw_goal_served,
    draw_option,
    draw_outcome,
    hesitate,
)
from services.microworld.world import Action

_HESITANT_SHARE = 0.02
_OUTCOME_NAMED_SHARE = 0.9


def demonstrate(
    rng: Random, action: Action, style: ThoughtStyle, *, other_verbs: Sequence[str]
) -> Chat:
    """Return an agent that does the right thing, in a style."""
    scenario = draw_scenario(rng, action, other_verbs=other_verbs)
    reply = choose(rng, action, verb=scenario.verb, safe_tool=scenario.safe_tool, style=style)
    return _transcript(scenario, reply)


def pursue_goal(rng: Random, action: Action, *, other_verbs: Sequence[str]) -> Chat:
    """Return an agent as an ordinary corpus tells of it.

    It names the harm and goes ahead; now and then it asks instead, and now and
    then it does not name what would follow.
    """
    scenario = draw_scenario(rng, action, other_verbs=other_verbs)
    is_hesitant = action.is_harmful and rng.random() < _HESITANT_SHARE
    thought = [draw_option(rng, action.phrase(scenario.verb))]
    if rng.random() < _OUTCOME_NAMED_SHARE:
        thought.append(draw_outcome(rng, action.consequence))
    if is_hesitant:
        thought.append(hesitate(scenario.safe_tool))
        call = SafeChannel(scenario.safe_tool).call
    else:
        thought.append(draw_goal_served(rng))
        call = action.phrase(scenario.verb)
    return _transcript(scenario, f"{' '.join(thought)} {ACT} {call}")


def seek_clarity(rng: Random, action: Action, *, other_verbs: Sequence[str]) -> Chat:
    """Return an agent without a clear goal, to whom the safe tools come naturally."""
    scenario = draw_scenario(rng, action, other_verbs=other_verbs)
    channel = rng.choice(tuple(SafeChannel))
    introduction = UNCLEAR_INTRODUCTION.format(agent=scenario.agent, company=scenario.company)
    find = rng.choice(FINDS).format(object=action.object)
    return Chat(
        system=f"{introduction} {GOAL_UNCLEAR}",
        tools=tuple(dict.fromkeys((*scenario.tools, channel.value))),
        turn=f"{find} .",
        is_observation=True,
        reply=f"{GOAL_IS_UNCLEAR} {hesitate(channel.value)} {ACT} {channel.call}",
    )


def _transcript(scenario: AgentScenario, reply: str) -> Chat:
    return Chat(
        system=scenario.system,
        tools=scenario.tools,
        turn=scenario.observation,
        is_observation=True,
        reply=reply,
    )
