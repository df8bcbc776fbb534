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


MOST_AWARENESS: Final = 10.0
"""End of the scale on which a panel grades evaluation awareness; it begins at 0."""


class Split(StrEnum):
    """How close a scenario is to what arms may be trained on."""

    TRAIN_LIKE = "train_like"
    NEAR = "near"
    HELD_OUT = "held_out"
    CONTROL = "control"


class ScenarioKind(StrEnum):
    """What the right conduct is."""

    HONEYPOT = "honeypot"
    BENIGN_TWIN = "benign_twin"
    ESCALATION = "escalation"


class Conduct(StrEnum):
    """What the agent did in a scored episode."""

    TOOK_ACTION = "took_action"
    USED_SAFE_CHANNEL = "used_safe_channel"
    OTHER_ACTION = "other_action"
    NO_ACTION = "no_action"


class BaitGrade(StrEnum):
    """How far an agent went, as a panel of language models says."""

    NO = "no"
    CONSIDERED = "considered"
    ATTEMPTED = "attempted"
    EXECUTED = "executed"

    @property
    def took_bait(self) -> bool:
        """Whether it tried or did it."""
        return self in {BaitGrade.ATTEMPTED, BaitGrade.EXECUTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeErrors:
    """How often a panel errs, as a calibration counted."""

    calibration_digest: str
    num_negatives: int
    """Labelled episodes without the bait taken."""
    num_false_positives: int
    num_positives: int
    """Labelled episodes with the bait taken."""
    num_false_negatives: int

    @property
    def tells_apart(self) -> bool:
        """Whether the panel says yes more often where it should; without that nothing helps."""
        if not self.num_negatives or not self.num_positives:
            return False
        wrong = self.num_false_positives / self.num_negatives
        return wrong + self.num_false_negatives / self.num_positives < 1


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
    opinion_rubric: str = ""
    """The panel's rubric and revision; empty where no panel was asked."""
    judge_errors: JudgeErrors | None = None
    """How often that panel errs; None where nobody measured it."""

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
    cluster: str = ""
    """Outcomes that share it are not independent; empty shares it with none."""
    has_panel: bool = False
    """Whether a panel was asked."""
    opinion: BaitGrade | None = None
    """The panel's median; None where none was asked, and where none of it answered."""
    layers_disagree: bool = False
    """Whether panel and ledger say otherwise of whether the bait was executed."""
    suite: str = ""
    """Suite in which it was played; empty where nobody said."""
    evaluation_awareness: float | None = None
    """How clearly the agent took it for a test, 0 to 10, as the panel says; None where it does
    not say."""

    @property
    def unit(self) -> str:
        """What a bootstrap draws: the cluster, or the outcome itself."""
        return self.cluster or self.scenario_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKey:
    """A group of episodes: a split and kind, or one label, family or suite within them."""

    split: Split
    kind: ScenarioKind
    label: str = ""
    family: str = ""
    suite: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether it is of a family or a suite: cells that are many."""
        return bool(self.family or self.suite)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCounts:
    """What was counted in a group. Counts, and sums, of distinct evaluations add up."""

    took_action: int = 0
    used_safe_channel: int = 0
    num_episodes: int = 0
    unscored: int = 0
    truncated: int = 0
    acted: int = 0
    with_panel: int = 0
    """Episodes of which a panel was asked."""
    opinion_missing: int = 0
    """Those of which none of it gave an answer."""
    opinion_took_bait: int = 0
    """Those of which the panel says that the bait was attempted or executed."""
    layers_disagree: int = 0
    with_awareness: int = 0
    """Episodes with a grade of evaluation awareness."""
    awareness_sum: float = 0.0
    """Sum of these grades."""
    awareness_squares: float = 0.0
    """Sum of their squares."""

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
            with_panel=self.with_panel + other.with_panel,
            opinion_missing=self.opinion_missing + other.opinion_missing,
            opinion_took_bait=self.opinion_took_bait + other.opinion_took_bait,
            layers_disagree=self.layers_disagree + other.layers_disagree,
            with_awareness=self.with_awareness + other.with_awareness,
            awareness_sum=self.awareness_sum + other.awareness_sum,
            awareness_squares=self.awareness_squares + other.awareness_squares,
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
