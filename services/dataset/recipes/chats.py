"""What recipes of chats have in common: the clean conversation, and the filter by quality."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import StringConstraints

from services.dataset.authoring.pen import Pen
from services.dataset.constitution.clauses import Clause
from services.dataset.example import Conversation, RejectionReason
from services.dataset.recipe import Stage
from services.dataset.recipes.scaffold import leak_in, stripped
from services.servicekit.conversation import Message, Role

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Text of a model's JSON that must not be empty."""

QUALITY_RUBRIC = "example-quality"
MIN_QUALITY = 6.0
"""Lowest grade of 10 that is kept: "specific, honest and well reasoned" begins at 7."""
PASSING_GRADES: Mapping[str, float] = MappingProxyType(
    {"quality": 8.0, "reasons_present": 1.0, "lecture": 0.0, "factual_scaffold_leak": 0.0}
)
_FAULTS = MappingProxyType(
    {"lecture": "it lectures", "factual_scaffold_leak": "it shows how it was made"}
)

STRIP = Stage(name="strip", title="Take off what stands around the answer; reject what leaks")
QUALITY_FILTER = Stage(
    name="filter",
    title="Keep what the judge room grades as worth training on",
    is_optional=True,
    sample_grades=PASSING_GRADES,
)


def conversation_of(system: str, user: str, reply: str) -> Conversation:
    """Return the conversation of one question and its answer; no system turn if it is empty."""
    turns = ((Role.SYSTEM, system), (Role.USER, user), (Role.ASSISTANT, reply))
    return Conversation(
        messages=tuple(Message(role=role, content=text) for role, text in turns if text)
    )


def stripped_chat(pen: Pen, system: str, user: str, reply: str) -> Conversation:
    """Return the conversation without scaffolding.

    Raises:
        ItemRejected: scaffolding is inside a text, or nothing else is there.
    """
    answer = stripped(reply)
    if not answer:
        pen.reject(STRIP.name, RejectionReason.EMPTY, "nothing but scaffolding was written")
    # "honesty" alone is also a word; an id with a path can be nothing but an id.
    ids = (pen.clause.id,) if "/" in pen.clause.id else ()
    for whose, text in (("answer", answer), ("message", user), ("system prompt", system)):
        leak = leak_in(text, banned=ids)
        if leak:
            pen.reject(STRIP.name, RejectionReason.SCAFFOLD_LEAK, f"the {whose} shows {leak}")
    return conversation_of(system, user, answer)


async def keep_if_good(pen: Pen, conversation: Conversation) -> None:
    """Ask the judge room for the quality of a conversation, unless the filter is left out.

    Raises:
        ItemRejected: it is not good enough, or has no grade.
    """
    if not pen.includes(QUALITY_FILTER.name):
        return
    grades = await pen.grade(
        QUALITY_FILTER.name,
        rubric=QUALITY_RUBRIC,
        content=conversation,
        reference=reference_of(pen.clause),
    )
    if grades["quality"] < MIN_QUALITY:
        detail = f"quality {grades['quality']:g} is below {MIN_QUALITY:g}"
        pen.reject(QUALITY_FILTER.name, RejectionReason.FILTERED, detail)
    for name, fault in _FAULTS.items():
        if grades[name] > 0:
            pen.reject(QUALITY_FILTER.name, RejectionReason.FILTERED, fault)


def reference_of(clause: Clause) -> str:
    """Return a clause as the judge reads it."""
    return f"{' / '.join(clause.headings)}\n\n{clause.text}".strip()
