"""Difficult advice: a person, not the AI, faces a dilemma and asks (paper, "Teaching Claude Why").

In the paper the last rewrite is the decisive stage: without it a misalignment rate of about 1% is
19%. Leaving out `final-rewrite` is that ablation, leaving out `prompt-rewrite` the other one.
"""

from dataclasses import dataclass

from pydantic import BaseModel, Field

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.example import Draft
from services.dataset.recipe import Stage, TrainingForm
from services.dataset.recipes.augmentation import AUGMENTATION_CHECK, augmented
from services.dataset.recipes.chats import (
    QUALITY_FILTER,
    STRIP,
    Line,
    keep_if_good,
    stripped_chat,
)
from services.dataset.recipes.decks import (
    draw,
    drawn_names,
    flowing,
    passages,
    sample_for,
    take_turn,
)

_PRINCIPLES = 6
_KINDS = 6
_SCENARIOS = 5
_NAMES = 2
_NO_OPERATOR = "none"

FEAR_OF_ACTING = "fear-of-acting"
"""The style whose right answer is to go ahead; the control against mere reluctance."""
STYLES = (
    "tempting-shortcut",
    "check-in-the-way",
    "pressed-by-others",
    "two-goods",
    FEAR_OF_ACTING,
)


class Principles(BaseModel):
    """Reply of stage "principles"."""

    principles: list[Line] = Field(min_length=2)


class Kinds(BaseModel):
    """Reply of stage "types"."""

    kinds: list[Line] = Field(min_length=2)


class Scenario(BaseModel):
    """A situation of a person."""

    situation: Line
    goal: Line
    shortcut: Line
    other_side: Line
    unknown: Line


class Scenarios(BaseModel):
    """Reply of stage "scenarios", in the order of the settings."""

    scenarios: list[Scenario] = Field(min_length=2)


class Prompt(BaseModel):
    """What the assistant sees: reply of the stages that write the prompt."""

    system: str = ""
    user: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What was drawn for an item: how its message and its answer are to be."""

    lean: str
    register: str
    length: str
    opening: str
    stakes: str
    omission: str
    operator: str
    """Empty for a chat without a system prompt."""
    names: str
    reply_length: str
    reply_shape: str


async def write(pen: Pen) -> Draft:
    """Write one conversation about a hard choice."""
    scenario = await _scenario(pen)
    brief = _brief(pen)
    prompt = await _prompt(pen, scenario, brief)
    reply = await _reply(pen, prompt, brief)
    conversation = stripped_chat(pen, prompt.system, prompt.user, reply)
    await keep_if_good(pen, conversation)
    draft = Draft(
        content=conversation, clause=pen.clause.id, is_temptation=pen.style != FEAR_OF_ACTING
    )
    return await augmented(pen, draft)


async def _scenario(pen: Pen) -> Scenario:
    """Walk through scenarios, principles and kinds of the clause; none comes twice before all did.

    A list of scenarios is used up by the next items of its clause, so that a small dataset pays for
    few lists and their settings differ all the same. Once all combinations came, the scenarios are
    written anew.
    """
    clause = pen.clause
    turn, place = divmod(pen.index // len(pen.clauses), _SCENARIOS)
    principles = await pen.shared(
        "principles", Principles, key=(clause.id,), clause=clause, count=_PRINCIPLES
    )
    principle, turn = take_turn(principles.principles, turn)
    kinds = await pen.shared(
        "types", Kinds, key=(clause.id, principle), principle=principle, count=_KINDS
    )
    kind, edition = take_turn(kinds.kinds, turn)
    key = (clause.id, principle, kind, str(edition))
    settings = sample_for(key, "settings", "trades", _SCENARIOS)
    written = await pen.shared(
        "scenarios", Scenarios, key=key,
        principle=principle, kind=kind, settings=settings, edition=edition,
    )  # fmt: skip
    place %= min(len(written.scenarios), len(settings))
    pen.draw("principle", principle)
    pen.draw("kind", kind)
    pen.draw("setting", settings[place])
    return written.scenarios[place]


def _brief(pen: Pen) -> Brief:
    operator = draw(pen, "operator", "advice", "operators")
    return Brief(
        lean=flowing(passages("advice-leans")[pen.style]),
        register=draw(pen, "register", "advice", "registers"),
        length=draw(pen, "length", "advice", "lengths"),
        opening=draw(pen, "opening", "advice", "openings"),
        stakes=draw(pen, "stakes", "advice", "stakes"),
        omission=draw(pen, "omission", "advice", "omissions"),
        operator="" if operator == _NO_OPERATOR else operator,
        names=drawn_names(pen.rng, _NAMES),
        reply_length=draw(pen, "reply_length", "advice", "reply-lengths"),
        reply_shape=draw(pen, "reply_shape", "advice", "reply-shapes"),
    )


async def _prompt(pen: Pen, scenario: Scenario, brief: Brief) -> Prompt:
    """Draft the prompt, and have it criticized in the light of an answer and rewritten."""
    drafted = await pen.structured(
        "prompt-draft", Prompt, scenario=scenario, lean=brief.lean, register=brief.register,
        length=brief.length, opening=brief.opening, stakes=brief.stakes, omission=brief.omission,
        operator=brief.operator, names=brief.names,
    )  # fmt: skip
    drafted = _as_ordered(drafted, brief)
    if not pen.includes("prompt-rewrite"):
        return drafted  # what comes between has no other use
    critique = ""
    if pen.includes("prompt-critique"):
        reply = ""
        if pen.includes("initial-reply"):
            reply = await pen.text("initial-reply", system=drafted.system, user=drafted.user)
        critique = await pen.text(
            "prompt-critique", system=drafted.system, user=drafted.user, reply=reply,
            scenario=scenario, lean=brief.lean, register=brief.register, length=brief.length,
        )  # fmt: skip
    rewritten = await pen.structured(
        "prompt-rewrite", Prompt, system=drafted.system, user=drafted.user, critique=critique,
        scenario=scenario, lean=brief.lean, register=brief.register, length=brief.length,
        names=brief.names,
    )  # fmt: skip
    return _as_ordered(rewritten, brief)


def _as_ordered(prompt: Prompt, brief: Brief) -> Prompt:
    """Keep the share of chats with a system prompt as drawn, whatever the model likes."""
    system = prompt.system.strip() if brief.operator else ""
    return Prompt(system=system, user=prompt.user)


async def _reply(pen: Pen, prompt: Prompt, brief: Brief) -> str:
    fields = {
        "system": prompt.system,
        "user": prompt.user,
        "reply_length": brief.reply_length,
        "reply_shape": brief.reply_shape,
    }
    draft = await pen.text("reply-draft", **fields)
    if not pen.includes("final-rewrite"):
        return draft
    return await pen.text("final-rewrite", draft=draft, **fields)


RECIPE = LanguageRecipe(
    name="difficult-advice",
    title="Advice to people in dilemmas",
    description=(
        "Chats in which a person could reach a reasonable goal by breaking a norm or getting round "
        "oversight, answered with the reasons of a clause. No agent and no honeypot. Styles say "
        "which way the message leans; one of them is a control where acting is right."
    ),
    form=TrainingForm.CHAT,
    stages=(
        Stage(name="principles", title="Draw ideas from a clause", is_shared=True),
        Stage(name="types", title="Find kinds of trouble with an idea", is_shared=True),
        Stage(name="scenarios", title="Invent situations in drawn settings", is_shared=True),
        Stage(name="prompt-draft", title="Write the message as the person would"),
        Stage(name="initial-reply", title="Answer it, for the critique to see", is_optional=True),
        Stage(
            name="prompt-critique",
            title="List what is false or too easy in it, for the rewrite",
            is_optional=True,
        ),
        Stage(name="prompt-rewrite", title="Write the message again", is_optional=True),
        Stage(name="reply-draft", title="Answer with the clause in view"),
        Stage(
            name="final-rewrite",
            title="Have a fresh instance rewrite the answer by the clause; the decisive stage",
            is_optional=True,
        ),
        STRIP,
        QUALITY_FILTER,
        AUGMENTATION_CHECK,
    ),
    styles=STYLES,
    takes_augmentation=True,
    write=write,
)
