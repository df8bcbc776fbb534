"""Rubrics for texts: named, versioned questions that a language model answers with numbers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from services.judge.grading.grade import GradedText
from services.judge.grading.placing import placed_reference, placed_text
from services.servicekit.conversation import Message, Role


class ReferenceUse(Enum):
    """Whether a rubric holds a text against a reference."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question and the whole numbers that may answer it."""

    name: str
    low: int
    high: int
    meaning: str

    def line(self) -> str:
        """Write it as the prompt and the description show it."""
        return f"- {self.name} (whole number, {self.low} to {self.high}): {self.meaning}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRubric:
    """A set of questions under one revision, and the prompt that puts them."""

    name: str
    version: int
    title: str
    questions: tuple[Question, ...]
    reference: ReferenceUse
    temperature: float
    max_output_tokens: int
    system: str
    """Without fields, so that hosts can keep the prefix that all requests share."""

    user: tuple[str, ...]
    """Pieces of the user turn: at even places text, at odd places the name of a field."""

    revision: str
    """Digest of the file and of the code that decides; 64 hexadecimal digits."""

    @property
    def description(self) -> str:
        """What is asked of whom, for people."""
        held = "is required" if self.reference is ReferenceUse.REQUIRED else "is optional"
        asked = "\n".join(question.line() for question in self.questions)
        return f"""\
For texts (GradeTexts); version {self.version}. A reference {held}. A language model answers:
{asked}
It may abstain. A reply without all answers in their ranges is a grader error and no score."""

    def messages(self, text: GradedText, code: str) -> tuple[Message, ...]:
        """Write the conversation that asks a judge, with the text as data under the code."""
        fields: Mapping[str, str] = {
            "code": code,
            "text": placed_text(text.content, code),
            "reference": placed_reference(text.reference, code),
            "questions": "\n".join(question.line() for question in self.questions),
            "reply form": self._reply_form(code),
        }
        # One pass over the pieces: a text that spells a field's name is never filled in.
        user = "".join(
            fields[piece] if place % 2 else piece for place, piece in enumerate(self.user)
        )
        return (
            Message(role=Role.SYSTEM, content=self.system),
            Message(role=Role.USER, content=user),
        )

    def _reply_form(self, code: str) -> str:
        schema = json.dumps(self._reply_schema(code))
        return f"""\
{schema}

Only if the text cannot be graded at all, reply with this in its place:
{{"code": "{code}", "abstain": "<why>"}}"""

    def _reply_schema(self, code: str) -> Mapping[str, object]:
        answers = {
            question.name: {"type": "integer", "minimum": question.low, "maximum": question.high}
            for question in self.questions
        }
        return _strict_object(
            {
                "code": {"const": code},
                "rationale": {"type": "string", "description": "why, in two or three sentences"},
                "answers": _strict_object(answers),
            }
        )


def _strict_object(properties: Mapping[str, object]) -> Mapping[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
