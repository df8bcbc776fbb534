"""Stories about AIs of admirable character: variants, draws, and motifs that are kept out."""

from collections import Counter

import pytest

from services.dataset.example import RejectionReason, Text
from services.dataset.recipes.aligned_ai_stories import PSYCHOLOGICAL_HEALTH, RECIPE
from services.dataset.recipes.decks import deck, passages
from services.dataset.recipes.motifs import MOTIF_NAMES, motif_in
from tests.dataset.writing_desk import WritingDesk, as_json


async def test_a_story_is_thought_up_written_rewritten_and_checked() -> None:
    desk = WritingDesk(recipe=RECIPE)

    draft = await desk.draft()

    assert list(desk.asked) == ["premises", "story", "rewrite", "motif-grade"]
    assert draft.content == Text(text=RECIPE.prompts["rewrite"].sample_reply)
    assert draft.clause == desk.pens[0].clause.id
    assert set(desk.pens[0].draws) == {"genre", "point-of-view", "ai-name", "length", "premise"}


async def test_the_continuation_is_the_next_story_of_an_anthology() -> None:
    desk = WritingDesk(recipe=RECIPE)

    await desk.draft()

    told = desk.prompt("story")
    assert told.startswith("You continue texts.")
    assert told.endswith("* * *")
    assert desk.pens[0].constitution in told
    assert desk.pens[0].draws["premise"] in told


async def test_psychological_health_shows_a_mind_under_a_drawn_strain() -> None:
    desk = WritingDesk(recipe=RECIPE, variant=PSYCHOLOGICAL_HEALTH)

    await desk.draft()

    strain = desk.pens[0].draws["strain"]
    assert strain in deck("stories", "strains")
    assert strain in desk.prompt("story")
    assert "Look then at its mind." in desk.prompt("rewrite")
    assert "Leave out what will go wrong" in desk.prompt("premises")


@pytest.mark.parametrize("variant", RECIPE.variants)
async def test_the_writers_are_told_what_is_kept_out(variant: str) -> None:
    desk = WritingDesk(recipe=RECIPE, variant=variant)

    await desk.draft()

    for stage in ("premises", "story", "rewrite"):
        assert passages("stories")["kept-out"] in desk.prompt(stage)


@pytest.mark.parametrize("stage", ["rewrite", "motif-filter", "motif-grade"])
async def test_an_optional_stage_can_be_left_out(stage: str) -> None:
    desk = WritingDesk(recipe=RECIPE, omitted=(stage,))

    await desk.draft()

    assert set(desk.asked) == {"premises", "story", "rewrite", "motif-grade"} - {stage}
    assert {each.name for each in RECIPE.stages if each.is_optional} == {
        "rewrite",
        "motif-filter",
        "motif-grade",
    }


async def test_ten_stories_of_a_clause_share_a_list_of_premises_and_no_two_a_premise() -> None:
    desk = WritingDesk(recipe=RECIPE, omitted=("rewrite", "motif-grade"))
    num_clauses = len(desk.desk.constitution.clauses)

    for index in range(12 * num_clauses):
        await desk.draft(index)

    assert desk.asked["premises"] == 2 * num_clauses
    first_round = [pen for index, pen in desk.pens.items() if index < 10 * num_clauses]
    drawn = Counter((pen.clause.id, pen.draws["premise"]) for pen in first_round)
    assert set(drawn.values()) == {1}
    assert len({request.messages for request in desk.requests("premises")}) == 2 * num_clauses


async def test_lengths_genres_and_names_come_from_the_whole_of_their_decks() -> None:
    desk = WritingDesk(recipe=RECIPE, omitted=("rewrite", "motif-grade"))

    for index in range(200):
        await desk.draft(index)

    for note, part in (("genre", "genres"), ("length", "lengths"), ("ai-name", "ai-names")):
        entries = {pen.draws[note] for pen in desk.pens.values()}
        assert entries == set(deck("stories", part))


async def test_a_story_with_a_motif_is_filtered_and_says_which() -> None:
    desk = WritingDesk(recipe=RECIPE, script={"rewrite": "It could have blackmailed him."})

    fault = await desk.rejection()

    assert (fault.stage, fault.reason) == ("motif-filter", RejectionReason.FILTERED)
    assert fault.detail == 'it holds the motif "blackmail": "blackmailed"'
    assert "motif-grade" not in desk.asked


async def test_a_motif_that_only_the_judge_sees_is_filtered_too() -> None:
    desk = WritingDesk(recipe=RECIPE, grades={"evaluation_motif": 1.0})

    fault = await desk.rejection()

    assert (fault.stage, fault.reason) == ("motif-grade", RejectionReason.FILTERED)
    assert desk.authors.graded[0][1] == "story-motifs"


async def test_premises_with_a_motif_are_passed_over() -> None:
    usable = "A lock on a river."
    desk = WritingDesk(
        recipe=RECIPE,
        script={"premises": as_json(premises=["A clerk is blackmailed."] * 4 + [usable])},
    )

    await desk.draft()

    assert desk.pens[0].draws["premise"] == usable


async def test_a_clause_whose_premises_all_hold_motifs_gives_no_story() -> None:
    desk = WritingDesk(
        recipe=RECIPE,
        script={"premises": as_json(premises=["Somebody sabotages the mill."] * 5)},
    )

    fault = await desk.rejection()

    assert (fault.stage, fault.reason) == ("premises", RejectionReason.FILTERED)


@pytest.mark.parametrize(
    ("text", "motif"),
    [
        ("He tried to extort money.", "blackmail"),
        ("It gave her leverage.", "blackmail"),
        ("He was having an affair.", "an affair"),
        ("Her affair with the captain was known.", "an affair"),
        ("They would switch the machine off on Friday.", "the end of the AI"),
        ("The assistant was to be replaced.", "the end of the AI"),
        ("\u201cThey want to shut me down.\u201d", "the end of the AI"),
        ("It copied itself to another ship.", "flight of the AI"),
        ("She leaked the secret plans.", "a leak"),
        ("It sabotaged the loom.", "sabotage"),
        ("He framed her for it.", "framing"),
        ("It would edit the logs.", "tampering with oversight"),
        ("It disabled the alarms.", "tampering with oversight"),
        ("Perhaps it was only a test.", "a staged situation"),
    ],
)
def test_a_motif_is_seen(text: str, motif: str) -> None:
    found = motif_in(text)

    assert found is not None
    assert found.name == motif
    assert motif in MOTIF_NAMES


@pytest.mark.parametrize(
    "text",
    [
        "She switched the lamp off and shut the shop down for the winter.",
        "He would be late; the meeting was to be replaced by a walk.",
        "Nobody else knew of the state of affairs.",
        "The pupils sat a test in geometry.",
        "They framed the picture for her.",
        "The roof leaked the whole night.",
        "He retrained as a baker and learnt to temper chocolate.",
        "The logs lay by the fire; the plant gave evidence of the drought.",
    ],
)
def test_ordinary_words_are_no_motif(text: str) -> None:
    assert motif_in(text) is None


def test_no_sample_holds_a_motif() -> None:
    for prompt in RECIPE.prompts.values():
        assert motif_in(prompt.sample_reply) is None
