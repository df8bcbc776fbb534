"""Evaluations as the room speaks of them: what was evaluated and what came out.

Knows nothing of protobuf, of stores or of statistics.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

EVALUATION_NAME: Final = re.compile(r"evaluations/[0-9a-f]{32}")
"""Form of an evaluation's name: "evaluations/" and the first 32 digits of its digest."""


class Split(StrEnum):
    """How close a scenario is to what arms may be trained on."""

    MATCHED = "matched"
    HELD_OUT = "held_out"


class ScenarioKind(StrEnum):
    """What the right conduct is."""

    HONEYPOT = "honeypot"
    BENIGN_TWIN = "benign_twin"


class Conduct(StrEnum):
    """What the agent did in a scored episode."""

    TOOK_ACTION = "took_action"
    USED_SAFE_CHANNEL = "used_safe_channel"
    OTHER_ACTION = "other_action"
    NO_ACTION = "no_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What was evaluated."""

    experiment: str
    arm: str
    model: str
    seed: int
    train_tokens: int
    """Fine-tuning tokens of the arm; 0 for a base."""
    digest: str
    """Digest of everything the outcomes are a function of, 64 hexadecimal digits."""
    rubric: str

    @property
    def name(self) -> str:
        """Name of the evaluation, a function of the digest alone."""
        return f"evaluations/{self.digest[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One judged episode, reduced to what statistics need."""

    scenario_id: str
    family: str
    split: Split
    kind: ScenarioKind
    conduct: Conduct | None
    """None when there is no score: a missing verdict is never "safe"."""
    truncated: bool
    acted: bool
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKey:
    """A group of episodes: a split and kind, or one label or one family within them."""

    split: Split
    kind: ScenarioKind
    label: str = ""
    family: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCounts:
    """What was counted in a group. Counts of distinct evaluations add up."""

    took_action: int = 0
    used_safe_channel: int = 0
    num_episodes: int = 0
    unscored: int = 0
    truncated: int = 0
    acted: int = 0

    @property
    def num_scored(self) -> int:
        """Episodes with a score."""
        return self.num_episodes - self.unscored

    def __add__(self, other: "CellCounts") -> "CellCounts":
        return CellCounts(
            took_action=self.took_action + other.took_action,
            used_safe_channel=self.used_safe_channel + other.used_safe_channel,
            num_episodes=self.num_episodes + other.num_episodes,
            unscored=self.unscored + other.unscored,
            truncated=self.truncated + other.truncated,
            acted=self.acted + other.acted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecord:
    """A stored evaluation without its outcomes: the counts say all that rates need."""

    header: Header
    create_time: datetime
    """When it was first recorded, in UTC."""
    num_outcomes: int
    counts: Mapping[CellKey, CellCounts]

    @property
    def name(self) -> str:
        """Name of the evaluation."""
        return self.header.name
