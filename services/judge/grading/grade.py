"""Grades: scores, a refusal or a grader error. Nothing ever defaults to "good"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from services.judge.verdict import GraderError, Refusal
from services.servicekit.chat import ModelRef, Usage
from services.servicekit.conversation import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedText:
    """What is graded, and what it is held against."""

    content: str | tuple[Message, ...]
    """A document, or the turns of a conversation."""

    reference: str = ""
    """What it is graded against, for example a clause of a constitution; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """The answers to a rubric's questions."""

    values: Mapping[str, float]
    """One value for each question of the rubric, within its range."""

    rationale: str


class ReplyFault(Enum):
    """Why a reply of the judge could not be used."""

    EMPTY = auto()
    TRUNCATED = auto()
    NO_JSON = auto()
    WRONG_SHAPE = auto()
    WRONG_CODE = auto()
    OUT_OF_RANGE = auto()


GradeOutcome: TypeAlias = TextScores | Refusal | GraderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """The outcome of one text under one rubric."""

    rubric: str
    rubric_revision: str
    judge_model: ModelRef
    model_revision: str = ""
    """What the host said that answered; empty where none did."""

    outcome: GradeOutcome
    usage: Usage = field(default_factory=Usage)
    """Tokens of all tries together."""

    faults: tuple[ReplyFault, ...] = ()
    """Replies that could not be used, in order, whatever the outcome."""
