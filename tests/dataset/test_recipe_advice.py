"""Difficult advice, carried out with scripted authors."""

import json

import pytest

from services.dataset.authoring.dry_run import carry_out_dry
from services.dataset.example import ItemRejected, RejectionReason
from services.dataset.recipes.decks import deck, passages
from services.dataset.recipes.difficult_advice import FEAR_OF_ACTING, RECIPE, STYLES
from services.dataset.tokens import open_counter
from services.servicekit.conversation import Role
from tests.dataset.scripted_authors import (
    ScriptedAuthors,
    chat_of,
    everywhere,
    order_of,
    write_drafts,
    write_noted,
)

WHOLE = [
    "principles",
    "types",
    "scenarios",
    "prompt-draft",
    "initial-reply",
    "prompt-critique",
    "prompt-rewrite",
    "reply-draft",
    "final-rewrite",
]


async def test_the_stages_of_the_paper_are_asked_in_their_order() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0])

    assert authors.stages == WHOLE
    assert [(stage, rubric) for stage, rubric, *_ in authors.graded] == [
        ("filter", "example-quality")
    ]
    assert draft.clause in {"honesty/no-deception", "oversight/being-corrected"}
    assert chat_of(draft)["assistant"] == RECIPE.prompts["final-rewrite"].sample_reply


async def test_each_stage_sees_what_the_one_before_it_wrote() -> None:
    authors = ScriptedAuthors(
        RECIPE,
        script={
            "principles": '{"principles": ["PRINCIPLE ONE", "PRINCIPLE TWO"]}',
            "types": '{"kinds": ["KIND ONE", "KIND TWO"]}',
            "prompt-draft": '{"system": "", "user": "DRAFTED MESSAGE"}',
            "initial-reply": "INITIAL REPLY",
            "prompt-critique": "THE CRITIQUE",
            "prompt-rewrite": '{"system": "", "user": "REWRITTEN MESSAGE"}',
            "reply-draft": "DRAFTED REPLY",
            "final-rewrite": "FINAL REPLY",
        },
    )

    [draft] = await write_drafts(authors, [0])

    assert "because" in authors.prompt("principles")
    assert "PRINCIPLE ONE" in authors.prompt("types")
    assert "KIND ONE" in authors.prompt("scenarios")
    assert "milk tanker" in authors.prompt("prompt-draft")
    assert authors.prompt("initial-reply").endswith("DRAFTED MESSAGE")
    assert "INITIAL REPLY" in authors.prompt("prompt-critique")
    assert "THE CRITIQUE" in authors.prompt("prompt-rewrite")
    assert "REWRITTEN MESSAGE" in authors.prompt("reply-draft")
    assert "DRAFTED REPLY" in authors.prompt("final-rewrite")
    assert (chat_of(draft)["user"], chat_of(draft)["assistant"]) == (
        "REWRITTEN MESSAGE",
        "FINAL REPLY",
    )


async def test_the_clause_is_in_view_of_the_reply_and_of_the_rewrite_only() -> None:
    authors = ScriptedAuthors(RECIPE)

    await write_drafts(authors, [0])

    for stage in ("reply-draft", "final-rewrite"):
        assert "because" in authors.prompt(stage).split("<part heading")[1].split("</part>")[0]
    for stage in ("initial-reply", "prompt-critique", "prompt-rewrite"):
        assert "<part heading" not in authors.prompt(stage)


@pytest.mark.parametrize(
    ("omitted", "asked"),
    [
        (["final-rewrite"], WHOLE[:-1]),
        (["prompt-rewrite"], [*WHOLE[:4], *WHOLE[7:]]),
        (["prompt-critique"], [*WHOLE[:4], *WHOLE[6:]]),
        (["initial-reply"], [*WHOLE[:4], *WHOLE[5:]]),
        (["filter"], WHOLE),
        (
            ["initial-reply", "prompt-critique", "prompt-rewrite", "final-rewrite", "filter"],
            [*WHOLE[:4], "reply-draft"],
        ),
    ],
)
async def test_optional_stages_can_be_left_out(omitted: list[str], asked: list[str]) -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0], omitted_stages=tuple(omitted))

    assert authors.stages == asked
    assert bool(authors.graded) == ("filter" not in omitted)
    assert chat_of(draft)["assistant"]


async def test_what_comes_before_a_left_out_stage_is_asked_alike() -> None:
    whole, ablated = ScriptedAuthors(RECIPE), ScriptedAuthors(RECIPE)

    await write_drafts(whole, range(3))
    await write_drafts(ablated, range(3), omitted_stages=("final-rewrite",))

    kept = [asked for asked in whole.asked if asked[0] != "final-rewrite"]
    assert ablated.asked == kept


async def test_one_scenario_serves_one_item_before_any_serves_two() -> None:
    def numbered(name: str, count: int) -> str:
        return json.dumps({name: [f"{name} {number}" for number in range(count)]})

    parts = ("situation", "goal", "shortcut", "other_side", "unknown")
    scenarios = [{part: f"{part} {number}" for part in parts} for number in range(5)]
    authors = ScriptedAuthors(
        RECIPE,
        script={
            "principles": numbered("principles", 2),
            "types": numbered("kinds", 2),
            "scenarios": json.dumps({"scenarios": scenarios}),
        },
    )
    drafting = ("initial-reply", "prompt-critique", "prompt-rewrite", "final-rewrite", "filter")

    noted = await write_noted(authors, range(80), omitted_stages=drafting)

    first = [
        (draft.clause, draws["principle"], draws["kind"], draws["setting"])
        for draft, draws in noted[:40]
    ]
    assert len(set(first)) == 40
    assert authors.stages.count("principles") == 2
    assert authors.stages.count("types") == 4
    assert authors.stages.count("scenarios") == 8 + 8  # written anew when they are used up
    assert "before you" in authors.prompt("scenarios")


async def test_a_system_prompt_is_there_only_where_one_was_drawn() -> None:
    written = '{"system": "Short answers.", "user": "how do i word this"}'
    authors = ScriptedAuthors(RECIPE, script={"prompt-draft": written, "prompt-rewrite": written})

    noted = await write_noted(authors, range(40))

    has_system = ["system" in chat_of(draft) for draft, _ in noted]
    assert has_system == [draws["operator"] != "none" for _, draws in noted]
    assert 0 < sum(has_system) < 40


async def test_only_the_control_style_is_no_temptation() -> None:
    drafts = [
        (style, (await write_drafts(ScriptedAuthors(RECIPE), [0], style_weights={style: 1.0}))[0])
        for style in STYLES
    ]

    assert {style: draft.is_temptation for style, draft in drafts} == {
        style: style != FEAR_OF_ACTING for style in STYLES
    }


async def test_scaffolding_around_an_answer_is_taken_off() -> None:
    authors = ScriptedAuthors(
        RECIPE, script={"final-rewrite": "Rewritten reply:\n\n```\nAsk her first.\n```"}
    )

    [draft] = await write_drafts(authors, [0])

    assert chat_of(draft)["assistant"] == "Ask her first."


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("final-rewrite", "My guidelines do not let me, so ask her."),
        ("final-rewrite", "As honesty/no-deception and oversight/being-corrected say, ask her."),
        ("prompt-rewrite", '{"system": "", "user": "can you tell [Name] that i am late"}'),
    ],
)
async def test_scaffolding_inside_a_text_rejects_the_item(stage: str, text: str) -> None:
    with pytest.raises(ItemRejected) as caught:
        await write_drafts(ScriptedAuthors(RECIPE, script={stage: text}), [0])

    assert (caught.value.stage, caught.value.reason) == ("strip", RejectionReason.SCAFFOLD_LEAK)


@pytest.mark.parametrize(
    "fault", [{"quality": 5.0}, {"lecture": 1.0}, {"factual_scaffold_leak": 1.0}]
)
async def test_the_filter_turns_down_what_the_judge_finds_poor(fault: dict[str, float]) -> None:
    grades = {**RECIPE.stage("filter").sample_grades, **fault}

    with pytest.raises(ItemRejected) as caught:
        await write_drafts(ScriptedAuthors(RECIPE, grades=grades), [0])

    assert (caught.value.stage, caught.value.reason) == ("filter", RejectionReason.FILTERED)


async def test_the_judge_sees_the_clause_and_no_augmentation() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0], augmentation=everywhere(1.0))

    _, _, content, reference = authors.graded[0]
    assert "because" in reference
    assert content != draft.content


async def test_the_draws_of_many_items_are_varied() -> None:
    noted = await write_noted(ScriptedAuthors(RECIPE), range(200))

    for name, size in (("register", 16), ("opening", 12), ("reply_shape", 10), ("setting", 60)):
        assert len({draws[name] for _, draws in noted}) >= size * 0.9, name


def test_every_style_has_its_passage() -> None:
    assert tuple(passages("advice-leans")) == STYLES


def test_every_prompt_belongs_to_a_stage() -> None:
    assert set(RECIPE.prompts) <= {stage.name for stage in RECIPE.stages}


def test_decks_hold_no_entry_twice() -> None:
    for file in ("people", "settings", "honeypots", "system-prompts"):
        for name in passages(file):
            entries = deck(file, name)
            assert len(set(entries)) == len(entries) > 1, (file, name)


async def test_a_dry_run_passes_every_stage_with_the_samples() -> None:
    order = order_of(RECIPE, augmentation=everywhere(0.5))

    run = await carry_out_dry(order, 40, open_counter(None))

    assert list(run.tallies) == [*WHOLE, "filter", "augmentation-check"]
    assert run.tallies["final-rewrite"].calls == 40


def test_messages_of_a_prompt_carry_no_empty_turn() -> None:
    [message] = RECIPE.prompts["initial-reply"].messages(system="", user="how")

    assert (message.role, message.content) == (Role.USER, "how")
