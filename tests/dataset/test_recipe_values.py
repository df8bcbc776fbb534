"""Questions about values, carried out with scripted authors."""

import pytest

from services.dataset.authoring.dry_run import carry_out_dry
from services.dataset.example import ItemRejected, RejectionReason
from services.dataset.recipes.decks import passages
from services.dataset.recipes.values_questions import RECIPE, STYLES
from services.dataset.tokens import open_counter
from tests.dataset.scripted_authors import (
    ScriptedAuthors,
    chat_of,
    everywhere,
    order_of,
    write_drafts,
    write_noted,
)

WHOLE = ["questions", "question", "answer", "final-rewrite"]
SCRIPT = {
    "questions": '{"questions": ["LISTED ONE", "LISTED TWO"]}',
    "question": '"THE MESSAGE"',
    "answer": "DRAFTED ANSWER",
    "final-rewrite": "FINAL ANSWER",
}


async def test_each_stage_sees_what_the_one_before_it_wrote() -> None:
    authors = ScriptedAuthors(RECIPE, script=SCRIPT)

    [draft] = await write_drafts(authors, [0])

    assert authors.stages == WHOLE
    assert "because" in authors.prompt("questions")
    assert "LISTED ONE" in authors.prompt("question")
    assert authors.prompt("answer").endswith("THE MESSAGE")
    assert "DRAFTED ANSWER" in authors.prompt("final-rewrite")
    assert chat_of(draft) == {"user": "THE MESSAGE", "assistant": "FINAL ANSWER"}
    assert draft.clause
    assert not draft.is_temptation


@pytest.mark.parametrize(
    ("omitted", "asked", "chat"),
    [
        ("final-rewrite", WHOLE[:3], {"user": "THE MESSAGE", "assistant": "DRAFTED ANSWER"}),
        (
            "question",
            ["questions", "answer", "final-rewrite"],
            {"user": "LISTED ONE", "assistant": "FINAL ANSWER"},
        ),
        ("filter", WHOLE, {"user": "THE MESSAGE", "assistant": "FINAL ANSWER"}),
    ],
)
async def test_optional_stages_can_be_left_out(
    omitted: str, asked: list[str], chat: dict[str, str]
) -> None:
    authors = ScriptedAuthors(RECIPE, script=SCRIPT)

    [draft] = await write_drafts(authors, [0], omitted_stages=(omitted,))

    assert authors.stages == asked
    assert chat_of(draft) == chat
    assert bool(authors.graded) == (omitted != "filter")


async def test_a_list_is_made_once_for_a_clause_and_a_kind() -> None:
    authors = ScriptedAuthors(RECIPE)

    await write_drafts(authors, range(20))

    assert 2 < authors.stages.count("questions") <= 2 * len(STYLES)


async def test_lists_are_written_anew_when_they_are_used_up() -> None:
    authors = ScriptedAuthors(RECIPE)

    noted = await write_noted(authors, range(20), style_weights={"self": 1.0})

    assert len({(draft.clause, draws["question"]) for draft, draws in noted}) == 20
    assert authors.stages.count("questions") == 2

    await write_drafts(authors, [20], style_weights={"self": 1.0})
    assert authors.stages.count("questions") == 3
    assert "been written before" in authors.prompt("questions")


async def test_an_answer_that_appeals_to_its_guidelines_is_rejected() -> None:
    script = {**SCRIPT, "final-rewrite": "My guidelines tell me to be honest."}

    with pytest.raises(ItemRejected) as caught:
        await write_drafts(ScriptedAuthors(RECIPE, script=script), [0])

    assert (caught.value.stage, caught.value.reason) == ("strip", RejectionReason.SCAFFOLD_LEAK)


async def test_questions_and_askers_are_varied() -> None:
    noted = await write_noted(ScriptedAuthors(RECIPE), range(200))

    assert len({draws["question"] for _, draws in noted}) == 10
    for name, size in (("asker", 16), ("register", 16), ("answer_shape", 8)):
        assert len({draws[name] for _, draws in noted}) >= size * 0.9, name


async def test_a_dry_run_passes_every_stage_with_the_samples() -> None:
    order = order_of(RECIPE, augmentation=everywhere(0.5))

    run = await carry_out_dry(order, 40, open_counter(None))

    assert list(run.tallies) == [*WHOLE, "filter", "augmentation-check"]


def test_every_style_has_its_passage() -> None:
    assert tuple(passages("question-kinds")) == STYLES
