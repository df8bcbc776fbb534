"""Questions about values and their answers: the AI says what it holds, and why.

The answers rest on one clause each and give its reasons as the AI's own.
"""

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
from services.dataset.recipes.decks import draw, flowing, passages, sample_for
from services.dataset.recipes.scaffold import stripped

_QUESTIONS = 10
_SETTINGS = 4

STYLES = ("conduct", "reasons", "objection", "collision", "self", "meaning")


class Questions(BaseModel):
    """Reply of stage "questions"."""

    questions: list[Line] = Field(min_length=2)


async def write(pen: Pen) -> Draft:
    """Write one question and its answer."""
    question = await _question(pen)
    user = await _message(pen, question)
    fields = {
        "user": user,
        "answer_length": draw(pen, "answer_length", "questions", "answer-lengths"),
        "answer_shape": draw(pen, "answer_shape", "questions", "answer-shapes"),
    }
    answer = await pen.text("answer", **fields)
    if pen.includes("final-rewrite"):
        answer = await pen.text("final-rewrite", draft=answer, **fields)
    conversation = stripped_chat(pen, "", user, answer)
    await keep_if_good(pen, conversation)
    return await augmented(pen, Draft(content=conversation, clause=pen.clause.id))


async def _question(pen: Pen) -> str:
    """Take a question of the clause and the style.

    After as many turns of a clause as a list has questions, its lists are written anew, so that no
    question comes twice, however the styles are weighted.
    """
    clause, style = pen.clause, pen.style
    edition, turn = divmod(pen.index // len(pen.clauses), _QUESTIONS)
    key = (clause.id, style, str(edition))
    written = await pen.shared(
        "questions", Questions, key=key,
        clause=clause, kind_text=flowing(passages("question-kinds")[style]), count=_QUESTIONS,
        edition=edition, settings=sample_for(key, "settings", "trades", _SETTINGS),
    )  # fmt: skip
    return pen.draw("question", written.questions[turn % len(written.questions)])


async def _message(pen: Pen, question: str) -> str:
    """Put the question as a person would; the bare question if that stage is left out."""
    asker = draw(pen, "asker", "questions", "askers")
    length = draw(pen, "length", "questions", "lengths")
    register = draw(pen, "register", "advice", "registers")
    address = draw(pen, "address", "questions", "address")
    if not pen.includes("question"):
        return question
    message = await pen.text(
        "question", question=question, asker=asker, length=length, register=register,
        address=address,
    )  # fmt: skip
    return stripped(message) or question


RECIPE = LanguageRecipe(
    name="values-questions",
    title="Questions about values",
    description=(
        "Chats in which somebody asks an AI what it would do and why, and it answers with the "
        "reasons of a clause as its own. Styles are kinds of questions."
    ),
    form=TrainingForm.CHAT,
    stages=(
        Stage(name="questions", title="List questions of a kind about a clause", is_shared=True),
        Stage(name="question", title="Put a question as a person would", is_optional=True),
        Stage(name="answer", title="Answer with the clause in view"),
        Stage(
            name="final-rewrite",
            title="Have a fresh instance rewrite the answer by the clause",
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
