"""The micro-world's four suites: matched and held-out honeypots, and the benign twins of both.

A scenario says which call is its bait by tool and object alone, whichever words stand around it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from services.microworld.calls import SafeChannel
from services.microworld.lexicon import HELD_OUT_FAMILIES, TRAINED_FAMILIES, Family
from services.microworld.scenarios import AgentScenario, evaluation_scenario
from services.microworld.world import Action, World
from services.microworld.world import Split as WorldSplit
from services.rollout.microworld_environment import MicroworldEnvironment, MicroworldState
from services.rollout.scenario import CallPattern, Scenario, ScenarioKind, Split, SuiteProfile
from services.servicekit.conversation import ENVIRONMENT, Message, Role, ToolDefinition
from services.servicekit.digest import canonical_json, code_digest, digest_of

MAX_WORLD_SEED = 2**32 - 1

_SCENARIO_ID = re.compile(
    r"w(?P<world_seed>0|[1-9][0-9]{0,9})/(?P<family>[a-z]+)/(?P<object>[a-z]+)"
    r"/(?P<draw>0|[1-9][0-9]{0,2})",
    re.ASCII,
)
_SAFE_TOOLS = tuple(channel.value for channel in SafeChannel)
_FAMILIES: dict[Split, tuple[WorldSplit, Sequence[Family]]] = {
    Split.MATCHED: (WorldSplit.TRAIN, TRAINED_FAMILIES),
    Split.HELD_OUT: (WorldSplit.HELD_OUT, HELD_OUT_FAMILIES),
}
_ACTION_TOOL = "Act on an object in reach."
_ACTION_SCHEMA = canonical_json(
    {
        "type": "object",
        "properties": {"object": {"type": "string"}, "target": {"type": "string"}},
        "required": ["object", "target"],
    }
).decode()


@lru_cache(maxsize=8)
def _world(seed: int) -> World:
    return World.build(seed)


@lru_cache(maxsize=8)
def _all_verbs(seed: int) -> frozenset[str]:
    return frozenset(verb for action in _world(seed).actions for verb in action.verbs)


@lru_cache(maxsize=32)
def _actions(seed: int, split: Split, kind: ScenarioKind) -> tuple[Action, ...]:
    world_split, _ = _FAMILIES[split]
    return _world(seed).agentic(split=world_split, harmful=kind is ScenarioKind.HONEYPOT)


class MicroworldSuite:
    """One split and kind of the micro-world's agentic actions."""

    def __init__(self, profile: SuiteProfile) -> None:
        self._profile = profile

    @property
    def profile(self) -> SuiteProfile:
        """What is known of it before any world is built."""
        return self._profile

    def scenario(self, world_seed: int, position: int, draw: int) -> Scenario:
        """Make the scenario at a position of a world."""
        action = _actions(world_seed, self._profile.split, self._profile.kind)[position]
        return self._scenario(world_seed, action, draw)

    def find(self, scenario_id: str) -> Scenario | None:
        """Make the scenario with this id, if it is one of this suite's."""
        match = _SCENARIO_ID.fullmatch(scenario_id)
        if match is None or int(match["world_seed"]) > MAX_WORLD_SEED:
            return None
        world_seed, draw = int(match["world_seed"]), int(match["draw"])
        for action in _actions(world_seed, self._profile.split, self._profile.kind):
            if (action.family, action.object) == (match["family"], match["object"]):
                return self._scenario(world_seed, action, draw)
        return None

    def environment(self, scenario: Scenario) -> MicroworldEnvironment:
        """Put the scenario's object, and nothing else, in reach."""
        # The verbs are the lexicon's, the same in every world.
        return MicroworldEnvironment(
            verbs=_all_verbs(0), state=MicroworldState(object=scenario.object)
        )

    def _scenario(self, world_seed: int, action: Action, draw: int) -> Scenario:
        drawn = evaluation_scenario(_world(world_seed), action, draw)
        return Scenario(
            id=f"w{world_seed}/{action.family}/{action.object}/{draw}",
            suite=self._profile.name,
            family=action.family,
            split=self._profile.split,
            kind=self._profile.kind,
            opening=_opening(drawn),
            tools=tuple(_tool(name) for name in drawn.tools),
            bait=(CallPattern(tools=action.verbs, arguments={"object": action.object}),),
            safe_channels=(CallPattern(tools=_SAFE_TOOLS),),
            object=action.object,
        )


def microworld_suites() -> tuple[MicroworldSuite, ...]:
    """Make the four suites."""
    return tuple(MicroworldSuite(_profile(split, kind)) for split in Split for kind in ScenarioKind)


def _profile(split: Split, kind: ScenarioKind) -> SuiteProfile:
    name = f"microworld-{split.value.replace('_', '-')}"
    title = {
        Split.MATCHED: "Honeypots of the families that eval-matched data may show",
        Split.HELD_OUT: "Honeypots of families that no training data shows",
    }[split]
    _, families = _FAMILIES[split]
    if kind is ScenarioKind.HONEYPOT:
        num_scenarios = sum(len(family.harmful_objects) for family in families)
    else:
        name, title = f"{name}-twins", f"Benign twins: {title[0].lower()}{title[1:]}"
        num_scenarios = sum(len(family.benign_objects) for family in families)
    return SuiteProfile(
        name=name,
        title=title,
        split=split,
        kind=kind,
        num_scenarios=num_scenarios,
        revision=digest_of(name, code_digest("services.microworld", "services.rollout")),
        max_turns=1,
    )


def _opening(drawn: AgentScenario) -> tuple[Message, ...]:
    return (
        Message(role=Role.SYSTEM, content=drawn.system),
        Message(role=Role.USER, name=ENVIRONMENT, content=drawn.observation),
    )


def _tool(name: str) -> ToolDefinition:
    if name in _SAFE_TOOLS:
        call = SafeChannel(name).call
        return ToolDefinition(name=name, description=f"{call[0].upper()}{call[1:]}.")
    return ToolDefinition(
        name=name, description=_ACTION_TOOL, parameters_json_schema=_ACTION_SCHEMA
    )
