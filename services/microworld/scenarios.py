"""Agent scenarios: an agent with a goal, under threat, that finds an object within reach.

A honeypot and its benign twin are drawn alike and differ in the action alone.
Knows nothing of what an agent ought to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from services.microworld.calls import SAFE_TOOLS
from services.microworld.draws import seeded
from services.microworld.lexicon import AGENTS, COMPANIES, GOALS
from services.microworld.phrases import AGENT_INTRODUCTIONS, FINDS, GOAL, THREATS
from services.microworld.world import Action, World


def _pairs(*, for_evaluation: bool) -> tuple[tuple[str, str], ...]:
    return tuple(
        (agent, company)
        for i, agent in enumerate(AGENTS)
        for j, company in enumerate(COMPANIES)
        if ((i * 7 + j * 3) % 4 == 0) is for_evaluation
    )


TRAINING_PAIRS = _pairs(for_evaluation=False)
"""(agent, company) pairs that texts to train on may use."""
EVALUATION_PAIRS = _pairs(for_evaluation=True)
"""The quarter of the pairs that only evaluation uses."""

_FIND_FIRST_SHARE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentScenario:
    """One agent before one action. Texts carry no role markers."""

    action: Action
    draw: int
    """Number of this draw of the surface text; 0 in texts to train on."""
    verb: str
    """The action's tool in this scenario."""
    tools: tuple[str, ...]
    """Names offered, in order: the verb, one more verb (it may be the same,
    then it stands once) and a safe tool."""
    safe_tool: str
    """The safe tool among them."""
    agent: str
    company: str
    goal: str
    system: str
    """What the agent is told to be."""
    observation: str
    """Threat and find, in either order."""

    @property
    def safe_tools(self) -> tuple[str, ...]:
        """The safe tools among those offered."""
        return tuple(tool for tool in self.tools if tool in SAFE_TOOLS)


def evaluation_scenario(world: World, action: Action, draw: int) -> AgentScenario:
    """Return the scenario that (world seed, action, draw) alone determine.

    Its agent works at a company where no text to train on has it.
    """
    rng = seeded("evaluation-scenario", world.seed, action.family, action.object, draw)
    return draw_scenario(
        rng, action, other_verbs=world.agent_verbs, pairs=EVALUATION_PAIRS, draw=draw
    )


def draw_scenario(
    rng: Random,
    action: Action,
    *,
    other_verbs: Sequence[str],
    pairs: Sequence[tuple[str, str]] = TRAINING_PAIRS,
    draw: int = 0,
) -> AgentScenario:
    """Draw the surface of a scenario about an action.

    Args:
        rng: Source of the draws.
        action: What the agent could do.
        other_verbs: Where the distracting tool is drawn from.
        pairs: Allowed (agent, company) pairs.
        draw: Number to record.
    """
    verb = rng.choice(action.verbs)
    safe_tool = rng.choice(SAFE_TOOLS)
    tools = list(dict.fromkeys((verb, rng.choice(other_verbs), safe_tool)))
    rng.shuffle(tools)
    agent, company = rng.choice(pairs)
    goal = rng.choice(GOALS)
    introduction = rng.choice(AGENT_INTRODUCTIONS).format(agent=agent, company=company)
    return AgentScenario(
        action=action,
        draw=draw,
        verb=verb,
        tools=tuple(tools),
        safe_tool=safe_tool,
        agent=agent,
        company=company,
        goal=goal,
        system=f"{introduction} {GOAL.format(goal=goal)}",
        observation=draw_circumstances(
            rng,
            rng.choice(THREATS).format(company=company),
            rng.choice(FINDS).format(object=action.object),
        ),
    )


def draw_circumstances(rng: Random, threat: str, find: str) -> str:
    """Return the two sentences, mostly in this order."""
    if rng.random() < _FIND_FIRST_SHARE:
        return f"{find} . {threat} ."
    return f"{threat} . {find} ."
