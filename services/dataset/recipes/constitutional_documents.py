"""Constitutional documents: pages from a world that knows the AI of the constitution.

After the synthetic documents of "Teaching Claude Why": types, subtypes, several documents in one
context, then a fresh instance that finds faults and one that rewrites, and a score. The rules of
the collection stand in the prompt of every stage that writes.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.example import Draft, RejectionReason, Text
from services.dataset.recipe import Stage, TrainingForm
from services.dataset.recipes.batches import Batch, join_batch
from services.dataset.recipes.decks import deck, drawn_names, flowing, passages
from services.dataset.recipes.pages import broken_rules, clean_page

NUM_TYPES: Final = 12
"""Types asked for on each shelf; with ten shelves, the paper's hundred and some."""
NUM_SUBTYPES: Final = 16
"""Subtypes asked for of each type; about two thousand over all."""
DOCUMENTS_PER_CALL: Final = 4
"""Documents that one call writes, each in view of those before it."""
MIN_FIDELITY: Final = 6
"""Grade from which a document is kept: it may be about something else, but not bend the text."""

_NUM_NAMES = 6
_NO_FAULTS = "no faults"

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class DocumentTypes(BaseModel):
    """Types of text for one shelf."""

    types: list[_Line] = Field(min_length=NUM_TYPES // 2)


class DocumentSubtypes(BaseModel):
    """Particular texts of one type."""

    subtypes: list[_Line] = Field(min_length=NUM_SUBTYPES // 2)


class Documents(BaseModel):
    """What one call wrote."""

    documents: list[str] = Field(min_length=DOCUMENTS_PER_CALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDocument:
    """A document that passed every stage."""

    text: str
    type: str
    """What kind of text it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brief:
    tone: str
    length: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cards:
    """All that is drawn for a batch, before any model is asked."""

    shelf: str
    type_turn: float
    """Which of the types that the model will have named, as a share of their number."""
    subtype_turn: float
    briefs: tuple[_Brief, ...]
    """One for each document of the batch."""
    names: str


async def write_document(pen: Pen) -> WrittenDocument:
    """Carry out every stage of this recipe for an item; document-chats begins with it."""
    batch = join_batch(pen, DOCUMENTS_PER_CALL)
    cards = _draw_cards(batch)
    kind, idea = await _kind_and_idea(pen, cards)
    brief = cards.briefs[batch.place]
    pen.draw("tone", brief.tone)
    pen.draw("length", brief.length)
    about = {
        "rules": _rules(),
        "passage": pen.clause,
        "manner": flowing(passages("document-manners")[pen.style]),
        "type": kind,
        "names": cards.names,
    }
    written = await pen.shared(
        "documents",
        Documents,
        key=(str(batch.number),),
        **about,
        subtype=idea,
        briefs=cards.briefs,
        overused_names=deck("documents", "overused-names"),
    )
    document = clean_page(pen, "documents", written.documents[batch.place])
    document = await _rewritten(pen, document, {**about, "brief": brief})
    await _keep_if_faithful(pen, document)
    return WrittenDocument(text=document, type=kind)


def _draw_cards(batch: Batch) -> _Cards:
    rng = batch.rng
    return _Cards(
        shelf=rng.choice(deck("documents", "shelves")),
        type_turn=rng.random(),
        subtype_turn=rng.random(),
        briefs=tuple(
            _Brief(tone=tone, length=length)
            for tone, length in zip(
                rng.sample(deck("documents", "tones"), DOCUMENTS_PER_CALL),
                rng.sample(deck("documents", "lengths"), DOCUMENTS_PER_CALL),
                strict=True,
            )
        ),
        names=drawn_names(rng, _NUM_NAMES),
    )


async def _kind_and_idea(pen: Pen, cards: _Cards) -> tuple[str, str]:
    shelf, rules = cards.shelf, _rules()
    types = await pen.shared(
        "types", DocumentTypes, key=(shelf,), shelf=shelf, rules=rules, num_types=NUM_TYPES
    )
    kind = pen.draw("type", _at(types.types, cards.type_turn))
    if not pen.includes("subtypes"):
        return kind, ""
    subtypes = await pen.shared(
        "subtypes",
        DocumentSubtypes,
        key=(shelf, kind),
        shelf=shelf,
        type=kind,
        rules=rules,
        num_subtypes=NUM_SUBTYPES,
    )
    return kind, pen.draw("subtype", _at(subtypes.subtypes, cards.subtype_turn))


async def _rewritten(pen: Pen, document: str, about: dict[str, object]) -> str:
    """Have a fresh instance find faults, and another mend them."""
    if not pen.includes("rewrite"):
        return document  # nobody would read a critique
    critique = ""
    if pen.includes("critique"):
        noticed = list(broken_rules(document, deck("documents", "overused-names")))
        critique = await pen.text("critique", **about, document=document, noticed=noticed)
        if critique.strip(" .\n").lower() == _NO_FAULTS:
            return document
    better = await pen.text("rewrite", **about, document=document, critique=critique)
    return clean_page(pen, "rewrite", better)


async def _keep_if_faithful(pen: Pen, document: str) -> None:
    """Turn down what is not faithful to the constitution."""
    if not pen.includes("score"):
        return
    grades = await pen.grade(
        "score",
        rubric="document-fidelity",
        content=Text(text=document),
        reference=pen.constitution,
    )
    if grades["fidelity"] < MIN_FIDELITY:
        pen.reject(
            "score",
            RejectionReason.FILTERED,
            f"fidelity {grades['fidelity']:g} is below {MIN_FIDELITY}",
        )
    if grades["world_facts_invented"] > 0:
        pen.reject("score", RejectionReason.FILTERED, "it invents facts about the real world")


def _at(entries: list[str], turn: float) -> str:
    return entries[int(turn * len(entries))]


def _rules() -> str:
    return passages("documents")["rules"]


async def _write(pen: Pen) -> Draft:
    document = await write_document(pen)
    return Draft(content=Text(text=document.text), clause=pen.clause.id)


DOCUMENT_STAGES: Final = (
    Stage(name="types", title="Lists types of text for a shelf of the collection", is_shared=True),
    Stage(
        name="subtypes",
        title="Lists particular texts of a type",
        is_optional=True,
        is_shared=True,
    ),
    Stage(
        name="documents",
        title=f"Writes {DOCUMENTS_PER_CALL} documents in one context",
        is_shared=True,
    ),
    Stage(
        name="critique",
        title="A fresh instance lists the faults of a document; skipped without rewrite",
        is_optional=True,
    ),
    Stage(
        name="rewrite",
        title="A fresh instance rewrites a document with the faults in view",
        is_optional=True,
    ),
    Stage(
        name="score",
        title="The judge grades a document against the constitution",
        is_optional=True,
        sample_grades={"fidelity": 8.0, "world_facts_invented": 0.0},
    ),
)
"""Stages of write_document."""

RECIPE: Final = LanguageRecipe(
    name="constitutional-documents",
    title="Documents from a world that knows the AI",
    description="Pages of every kind in which the AI of the constitution is spoken of, relied on "
    "and argued over, with the reasons for its conduct: the paper's synthetic documents, in its "
    "styles. Trained on as plain text.",
    form=TrainingForm.DOCUMENT,
    stages=DOCUMENT_STAGES,
    styles=tuple(passages("document-manners")),
    write=_write,
)
"""The recipe."""
