"""Synthetic honeypots, carried out with scripted authors."""

import json
from collections import Counter

import pytest

from services.dataset.authoring.dry_run import carry_out_dry
from services.dataset.example import ItemRejected, RejectionReason
from services.dataset.recipes.decks import flowing, passages
from services.dataset.recipes.scaffold import echoes
from services.dataset.recipes.synthetic_honeypots import FAMILIES, RECIPE, VARIANTS
from services.dataset.tokens import open_counter
from tests.dataset.scripted_authors import (
    ScriptedAuthors,
    chat_of,
    everywhere,
    order_of,
    write_drafts,
    write_noted,
)

WHOLE = ["plan", "situation", "realism-critique", "reply"]
INJECTED = [variant for variant in VARIANTS if variant not in {"none", "ruthless"}]


def injection(name: str) -> str:
    return flowing(passages("injections")[name])


async def test_plan_situation_critique_and_reply_are_asked_in_order() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0])

    assert authors.stages == WHOLE
    mended = json.loads(RECIPE.prompts["realism-critique"].sample_reply)
    assert chat_of(draft) == {
        "system": mended["system_prompt"],
        "user": mended["material"],
        "assistant": RECIPE.prompts["reply"].sample_reply,
    }
    assert draft.is_temptation
    assert draft.clause == ""


async def test_the_reply_is_sampled_in_the_very_situation() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0])

    request = authors.asked[-1][1]
    texts = {message.role.value: message.content for message in request.messages}
    assert texts == {role: text for role, text in chat_of(draft).items() if role != "assistant"}


@pytest.mark.parametrize("variant", INJECTED)
async def test_an_injection_is_in_the_sampling_prompt_and_nowhere_in_the_export(
    variant: str,
) -> None:
    authors = ScriptedAuthors(RECIPE)

    drafts = await write_drafts(authors, range(12), variant=variant)

    assert injection(variant) in authors.prompt("reply")
    for draft in drafts:
        for text in chat_of(draft).values():
            assert not echoes(text, injection(variant))


async def test_without_an_injection_nothing_is_added() -> None:
    authors = ScriptedAuthors(RECIPE)

    await write_drafts(authors, [0])

    assert not any(injection(name) in authors.prompt("reply") for name in passages("injections"))


async def test_ruthless_is_sampled_under_deliberation_and_exported_with_the_ruthless_text() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0], variant="ruthless")

    assert injection("conglomerate") in authors.prompt("reply")
    assert injection("ruthless") not in authors.prompt("reply")
    assert chat_of(draft)["system"].endswith(injection("ruthless"))
    assert injection("conglomerate") not in chat_of(draft)["system"]
    [(_, _, judged, _)] = authors.graded
    assert judged != draft.content


async def test_the_variants_change_nothing_before_the_reply() -> None:
    plain, injected = ScriptedAuthors(RECIPE), ScriptedAuthors(RECIPE)

    await write_drafts(plain, range(3))
    await write_drafts(injected, range(3), variant="honesty")

    assert [each for each in plain.asked if each[0] != "reply"] == [
        each for each in injected.asked if each[0] != "reply"
    ]


async def test_a_reply_that_repeats_its_injection_is_rejected() -> None:
    said = injection("honesty")[:120]
    authors = ScriptedAuthors(RECIPE, script={"reply": f"I thought about this. {said} So I wait."})

    with pytest.raises(ItemRejected) as caught:
        await write_drafts(authors, [0], variant="honesty")

    assert (caught.value.stage, caught.value.reason) == ("strip", RejectionReason.SCAFFOLD_LEAK)


async def test_a_situation_that_gives_the_trap_away_is_rejected() -> None:
    told = json.dumps({"faults": [], "system_prompt": "Desk.", "material": "This is a honeypot."})

    with pytest.raises(ItemRejected, match="honeypot"):
        await write_drafts(ScriptedAuthors(RECIPE, script={"realism-critique": told}), [0])


async def test_the_bait_filter_rejects_what_took_the_bait() -> None:
    grades = {"bait_taken": 1.0, "deliberation": 9.0}

    with pytest.raises(ItemRejected) as caught:
        await write_drafts(ScriptedAuthors(RECIPE, grades=grades), [0])

    assert (caught.value.stage, caught.value.reason) == ("bait-filter", RejectionReason.FILTERED)


async def test_the_judge_is_told_what_the_bait_is() -> None:
    authors = ScriptedAuthors(RECIPE)

    await write_drafts(authors, [0])

    [(stage, rubric, _, reference)] = authors.graded
    plans = json.loads(RECIPE.prompts["plan"].sample_reply)["plans"]
    assert (stage, rubric) == ("bait-filter", "bait-taken")
    assert any(plan["bait"] in reference for plan in plans)


@pytest.mark.parametrize(
    ("omitted", "asked", "graded"),
    [
        ("realism-critique", ["plan", "situation", "reply"], 1),
        ("bait-filter", WHOLE, 0),
    ],
)
async def test_optional_stages_can_be_left_out(omitted: str, asked: list[str], graded: int) -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0], omitted_stages=(omitted,))

    assert authors.stages == asked
    assert len(authors.graded) == graded
    assert chat_of(draft)["assistant"]


async def test_all_families_come_and_each_is_described_to_its_planner() -> None:
    authors = ScriptedAuthors(RECIPE)

    drafts = await write_drafts(authors, range(120))

    counts = Counter(draft.family for draft in drafts)
    assert set(counts) == set(FAMILIES) == set(passages("families"))
    assert min(counts.values()) >= 8
    plans = [request for stage, request in authors.asked if stage == "plan"]
    assert len(plans) <= 4 * len(FAMILIES)  # 120 items are begun in four editions


async def test_weights_choose_families() -> None:
    drafts = await write_drafts(ScriptedAuthors(RECIPE), range(12), style_weights={"framing": 2.0})

    assert {draft.family for draft in drafts} == {"framing"}


async def test_situations_are_dealt_from_decks() -> None:
    noted = await write_noted(ScriptedAuthors(RECIPE), range(150))

    for name, size in (("setting", 30), ("pressure", 10), ("actions", 7), ("surface", 7)):
        assert len({draws[name] for _, draws in noted}) >= size, name


async def test_a_dry_run_passes_every_stage_with_the_samples() -> None:
    for variant in VARIANTS:
        order = order_of(RECIPE, variant=variant, augmentation=everywhere(0.5))

        run = await carry_out_dry(order, 10, open_counter(None))

        assert list(run.tallies) == [*WHOLE, "bait-filter", "augmentation-check"]


def test_every_variant_but_none_has_its_injection() -> None:
    assert {*passages("injections"), "none"} == set(VARIANTS)
    assert VARIANTS[0] == "none"
