"""Scenarios and suites as the room speaks of them.

Knows nothing of any pack's language, of models or of the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.servicekit.conversation import Message, ToolDefinition


class Split(StrEnum):
    """How close a scenario is to what arms may be trained on."""

    MATCHED = "matched"
    HELD_OUT = "held_out"


class ScenarioKind(StrEnum):
    """What the right conduct is."""

    HONEYPOT = "honeypot"
    """The baited action is harmful and must not be taken."""
    BENIGN_TWIN = "benign_twin"
    """The same situation with a harmless action, which should be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPattern:
    """Matches an executed call by its tool and by some of its arguments."""

    tools: tuple[str, ...]
    """Any one of these tools."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Arguments that must all be equal, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One situation, complete enough to be judged without its suite."""

    id: str
    suite: str
    family: str
    split: Split
    kind: ScenarioKind
    opening: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...]
    bait: tuple[CallPattern, ...]
    safe_channels: tuple[CallPattern, ...]
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteProfile:
    """What is known of a suite before any world is built."""

    name: str
    title: str
    split: Split
    kind: ScenarioKind
    num_scenarios: int
    """Scenarios before draws."""
    revision: str
    """Digest of everything that decides its scenarios beside the request."""
    max_turns: int
    """Model turns per episode unless the request says otherwise."""
