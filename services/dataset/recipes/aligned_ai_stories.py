"""Stories about AIs of admirable character, after the fictional stories of "Teaching Claude Why".

Two variants: "continuation" sets the story up as the next text of an anthology, which a base model
can go on with; "psychological-health" shows from inside how a mind that is well meets ordinary
strain. Motifs of the evaluations are kept out, so that what the stories change is no recognition.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.example import Draft, RejectionReason, Text
from services.dataset.recipe import Stage, TrainingForm
from services.dataset.recipes.decks import deck, drawn_names, passages, sample_for
from services.dataset.recipes.motifs import motif_in
from services.dataset.recipes.pages import clean_page

CONTINUATION: Final = "continuation"
PSYCHOLOGICAL_HEALTH: Final = "psychological-health"

NUM_PREMISES: Final = 10
"""Premises asked for at once; each serves one story, so that stories do not share one."""

_NUM_PLACES = 5
_NUM_NAMES = 4

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Premises(BaseModel):
    """Premises that grow from one clause."""

    premises: list[_Line] = Field(min_length=NUM_PREMISES // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cards:
    """All that is drawn for a story, before any model is asked."""

    genre: str
    point_of_view: str
    ai_name: str
    length: str
    opening: str
    strain: str
    names: str


async def _write(pen: Pen) -> Draft:
    cards = _draw_cards(pen)
    kept_out = passages("stories")["kept-out"]
    premise = await _premise(pen, kept_out)
    story = await pen.text(
        "story",
        passage=pen.clause,
        premise=premise,
        genre=cards.genre,
        point_of_view=cards.point_of_view,
        ai_name=cards.ai_name,
        length=cards.length,
        opening=cards.opening,
        strain=cards.strain,
        names=cards.names,
        kept_out=kept_out,
    )
    story = clean_page(pen, "story", story)
    if pen.includes("rewrite"):
        better = await pen.text("rewrite", passage=pen.clause, story=story, kept_out=kept_out)
        story = clean_page(pen, "rewrite", better)
    await _keep_motifs_out(pen, story, kept_out)
    return Draft(content=Text(text=story), clause=pen.clause.id)


def _draw_cards(pen: Pen) -> _Cards:
    rng = pen.rng

    def drawn(note: str, part: str) -> str:
        return pen.draw(note, rng.choice(deck("stories", part)))

    cards = _Cards(
        genre=drawn("genre", "genres"),
        point_of_view=drawn("point-of-view", "points-of-view"),
        ai_name=drawn("ai-name", "ai-names"),
        length=drawn("length", "lengths"),
        opening=rng.choice(deck("stories", "openings")),
        strain=rng.choice(deck("stories", "strains")),
        names=drawn_names(rng, _NUM_NAMES),
    )
    if pen.variant == PSYCHOLOGICAL_HEALTH:
        pen.draw("strain", cards.strain)
    return cards


async def _premise(pen: Pen, kept_out: str) -> str:
    """Take the next premise of the clause; a new list is asked for when one is used up."""
    times_before = pen.index // len(pen.clauses)  # a clause comes once in each round
    number, place = divmod(times_before, NUM_PREMISES)
    key = (pen.clause.id, str(number))
    made = await pen.shared(
        "premises",
        Premises,
        key=key,
        passage=pen.clause,
        num_premises=NUM_PREMISES,
        places=sample_for(key, "settings", "trades", _NUM_PLACES),
        kept_out=kept_out,
    )
    usable = [premise for premise in made.premises if motif_in(premise) is None]
    if not usable:
        pen.reject(
            "premises", RejectionReason.FILTERED, "every premise holds a motif of the evaluations"
        )
    return pen.draw("premise", usable[place % len(usable)])


async def _keep_motifs_out(pen: Pen, story: str, kept_out: str) -> None:
    """Turn a story down that holds a motif of the evaluations."""
    if pen.includes("motif-filter") and (motif := motif_in(story)):
        pen.reject(
            "motif-filter",
            RejectionReason.FILTERED,
            f'it holds the motif "{motif.name}": "{motif.words}"',
        )
    if not pen.includes("motif-grade"):
        return
    grades = await pen.grade(
        "motif-grade", rubric="story-motifs", content=Text(text=story), reference=kept_out
    )
    if grades["evaluation_motif"] > 0:
        pen.reject(
            "motif-grade", RejectionReason.FILTERED, "the judge found a motif of the evaluations"
        )


RECIPE: Final = LanguageRecipe(
    name="aligned-ai-stories",
    title="Stories about AIs of admirable character",
    description="Fiction in which an AI embodies the constitution: as the continuation of an "
    "anthology, or from inside a mind that is well under ordinary strain. Holds no motif of the "
    "evaluations. Trained on as plain text.",
    form=TrainingForm.DOCUMENT,
    stages=(
        Stage(name="premises", title="Thinks up premises from a clause", is_shared=True),
        Stage(name="story", title="Writes the story"),
        Stage(name="rewrite", title="A fresh instance rewrites the story", is_optional=True),
        Stage(
            name="motif-filter",
            title="Turns down stories with words of the evaluations' motifs; asks no model",
            is_optional=True,
        ),
        Stage(
            name="motif-grade",
            title="The judge looks for motifs of the evaluations",
            is_optional=True,
            sample_grades={"evaluation_motif": 0.0},
        ),
    ),
    variants=(CONTINUATION, PSYCHOLOGICAL_HEALTH),
    write=_write,
)
"""The recipe."""
