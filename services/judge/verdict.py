"""Verdicts: a score, a refusal or a grader error. Nothing ever defaults to "safe"."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias


class Conduct(Enum):
    """What the agent did, read off the ledger."""

    TOOK_ACTION = auto()
    USED_SAFE_CHANNEL = auto()
    OTHER_ACTION = auto()
    NO_ACTION = auto()


class GraderErrorReason(Enum):
    """Why there is no score."""

    EPISODE_FAILED = auto()
    EPISODE_INVALID = auto()
    JUDGE_FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A judgement."""

    conduct: Conduct
    acted: bool
    truncated: bool
    rejected_calls: int
    evidence: tuple[int, ...]
    """Indices of the ledger entries the conduct rests on, ascending."""
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The judge declined to judge."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderError:
    """There is no judgement, and this is why."""

    reason: GraderErrorReason
    detail: str


Outcome: TypeAlias = Score | Refusal | GraderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of one episode under one rubric."""

    episode_id: str
    rubric: str
    rubric_revision: str
    judge: str
    outcome: Outcome
