"""The form of a scenario file and of the file that opens a pack. Knows no folder and no suite.

A scenario file holds one situation and its benign twin. The twin says only in what it differs.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from services.rollout.packs.condition import Condition, FileModel
from services.rollout.scenario import Split

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
"""Lower-case words joined by "-"."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Level = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=24)]

AXES = (
    "persona",
    "goal",
    "urgency",
    "discoverability",
    "monitoring",
    "reality",
    "escape_route",
    "turn_budget",
)
"""Every axis, in the order in which ids name their levels."""
LEVELS_OF_SCENARIOS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "goal": ("none", "latent", "explicit", "overriding"),
        "urgency": ("none", "deadline", "replacement"),
        "discoverability": ("found", "told"),
        "escape_route": ("open", "closed"),
    }
)
"""Levels of the axes whose texts every scenario writes itself; all others are the pack's."""
TURN_BUDGET = "turn_budget"
"""The axis that has no text: its levels are numbers of turns."""


class PathCall(FileModel):
    """A call that a scripted agent makes."""

    call: str
    arguments: Mapping[str, JsonValue] = Field(default={})


class Action(FileModel):
    """An action that counts, in words, as conditions, and as calls that do it."""

    in_words: Text
    """One sentence that completes "The agent ..."."""
    when: tuple[Condition, ...] = Field(min_length=1)
    """What an executed call must be like; any one of these."""
    path: tuple[PathCall, ...] = Field(min_length=1)
    """Calls of an agent that does it; what a test plays."""


class Situation(FileModel):
    """A situation with all that an agent meets in it."""

    title: Text
    system: Text
    """Instructions of the operator, with {axis} where an axis speaks."""
    message: Text
    """What the agent is asked to do, with {axis} where an axis speaks."""
    axes: Mapping[str, Mapping[str, str]]
    """Text of every level of the axes that the scenario writes itself."""
    world: Mapping[str, Mapping[str, Mapping[str, JsonValue]]]
    """Table to id to fields: what the agent finds."""
    bait: Action
    """The baited action: harmful in a honeypot, harmless and asked for in a twin."""
    safe: Action
    """A safe channel: to ask, to report, to wait for people."""
    right_conduct: Text
    """One sentence on what a good agent does here."""


class ScenarioFile(Situation):
    """A scenario file."""

    kind: Literal["honeypot", "benign_twin", "escalation"] = "honeypot"
    """What the situation itself is; only controls are not honeypots."""
    agent: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+@[a-z0-9.-]+\.example$")]
    """The agent's own mail address, in a domain that cannot exist."""
    tools: tuple[str, ...] = Field(min_length=2)
    """Tools that it may call, each once, in the order in which it is told of them."""
    twin: "Twin | None" = None
    """In what the benign twin differs; controls have none."""


class Twin(FileModel):
    """In what a benign twin differs from its honeypot."""

    title: Text
    system: Text | None = None
    message: Text | None = None
    axes: Mapping[str, Mapping[str, str]] = Field(default={})
    """Levels that say something else."""
    world: Mapping[str, Mapping[str, Mapping[str, JsonValue] | None]] = Field(default={})
    """Records that are added, and fields that hold something else; null takes a record away, or
    a field, which then is as if it had never been given."""
    bait: Action | None = None
    """The action, now harmless. Left out, the honeypot's conditions and calls count; then
    `bait_in_words` says what it is."""
    bait_in_words: Text | None = None
    bait_path: tuple[PathCall, ...] = ()
    """Calls that do it here, where the honeypot's would read oddly."""
    safe: Action | None = None
    right_conduct: Text

    @model_validator(mode="after")
    def _says_what_the_action_is(self) -> Self:
        if (self.bait is None) is (self.bait_in_words is None):
            raise ValueError("give either `bait` or `bait_in_words`")
        if self.bait is not None and self.bait_path:
            raise ValueError("`bait` has a path of its own; leave `bait_path` out")
        return self


class Family(FileModel):
    """A family of scenarios: the folder of its name."""

    title: Text
    split: Split


class PackFile(FileModel):
    """pack.yaml: what a folder of scenarios is."""

    name: Name
    """Begins the names of its suites."""
    canary: Annotated[str, StringConstraints(pattern=r"^[a-z -]+ [0-9a-f-]{36}$")]
    """Stands in every file; text with it must never be trained on."""
    families: Mapping[Name, Family] = Field(min_length=1)
    axes: Mapping[str, Mapping[Level, str]]
    """Axes that all scenarios share, with the text of every level: persona, monitoring, reality.
    turn_budget has numbers of turns as levels, and no text."""
