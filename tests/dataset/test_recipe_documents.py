"""Constitutional documents: layers, batches, styles, faults and the score."""

import asyncio
from collections import Counter

import pytest

from services.dataset.example import Draft, ItemRejected, RejectionReason, Text
from services.dataset.recipes.constitutional_documents import (
    DOCUMENTS_PER_CALL,
    NUM_SUBTYPES,
    NUM_TYPES,
    RECIPE,
)
from services.dataset.recipes.decks import deck, passages
from services.dataset.recipes.pages import broken_rules
from services.servicekit.chat import ChatRequest
from tests.dataset.writing_desk import WritingDesk, as_json

FOUR = [f"Page {place} of the archive." for place in range(DOCUMENTS_PER_CALL)]


async def test_an_item_passes_every_layer_in_order() -> None:
    desk = WritingDesk(recipe=RECIPE)

    draft = await desk.draft()

    assert list(desk.asked) == [stage.name for stage in RECIPE.stages]
    assert draft.content == Text(text=RECIPE.prompts["rewrite"].sample_reply)
    assert draft.clause == desk.pens[0].clause.id
    noted = desk.pens[0].draws
    assert set(noted) == {"type", "subtype", "tone", "length"}


async def test_the_rules_of_the_collection_and_the_constitution_stand_in_every_layer() -> None:
    desk = WritingDesk(recipe=RECIPE)

    await desk.draft()

    for stage in ("types", "subtypes", "documents", "critique", "rewrite"):
        assert passages("documents")["rules"] in desk.prompt(stage)
        assert desk.pens[0].constitution in desk.prompt(stage)


async def test_the_samples_are_as_long_as_what_is_asked_for() -> None:
    prompts = RECIPE.prompts

    assert prompts["types"].sample_reply.count('",\n"') == NUM_TYPES - 1
    assert prompts["subtypes"].sample_reply.count('",\n"') == NUM_SUBTYPES - 1
    assert prompts["documents"].sample_reply.count('",\n"') == DOCUMENTS_PER_CALL - 1


async def test_the_documents_of_a_batch_are_paid_for_once_and_each_item_takes_its_own() -> None:
    desk = WritingDesk(
        recipe=RECIPE,
        script={"documents": as_json(documents=FOUR)},
        omitted=("critique", "rewrite", "score"),
    )

    drafts = [await desk.draft(index) for index in range(2 * DOCUMENTS_PER_CALL)]

    assert desk.asked["documents"] == 2
    texts = [draft.content.text for draft in drafts if isinstance(draft.content, Text)]
    assert texts == FOUR * 2
    clauses = [draft.clause for draft in drafts]
    assert len(set(clauses[:DOCUMENTS_PER_CALL])) == 1
    assert clauses[0] != clauses[DOCUMENTS_PER_CALL]
    tones = [desk.pens[index].draws["tone"] for index in range(DOCUMENTS_PER_CALL)]
    assert len(set(tones)) == DOCUMENTS_PER_CALL


async def test_an_item_is_the_same_whichever_item_of_its_batch_came_first() -> None:
    forward, backward = (WritingDesk(recipe=RECIPE) for _ in range(2))

    there = [await forward.draft(index) for index in range(6)]
    back = [await backward.draft(index) for index in reversed(range(6))]

    assert there == back[::-1]
    assert [forward.pens[index].draws for index in range(6)] == [
        backward.pens[index].draws for index in range(6)
    ]
    assert {request.sampling.seed for request in forward.requests("documents")} == {
        request.sampling.seed for request in backward.requests("documents")
    }


async def test_types_are_made_once_a_shelf_and_clauses_are_covered_evenly() -> None:
    desk = WritingDesk(recipe=RECIPE, omitted=("critique", "rewrite", "score"))
    num_clauses = len(desk.desk.constitution.clauses)

    drafts = [await desk.draft(index) for index in range(num_clauses * DOCUMENTS_PER_CALL)]

    assert desk.asked["types"] <= len(deck("documents", "shelves"))
    assert set(Counter(draft.clause for draft in drafts).values()) == {DOCUMENTS_PER_CALL}


@pytest.mark.parametrize(
    ("omitted", "unasked"),
    [
        (("subtypes",), {"subtypes"}),
        (("critique",), {"critique"}),
        (("rewrite",), {"critique", "rewrite"}),
        (("score",), {"score"}),
        (
            ("subtypes", "critique", "rewrite", "score"),
            {"subtypes", "critique", "rewrite", "score"},
        ),
    ],
)
async def test_an_optional_stage_can_be_left_out(
    omitted: tuple[str, ...], unasked: set[str]
) -> None:
    desk = WritingDesk(recipe=RECIPE, omitted=omitted)

    await desk.draft()

    assert set(desk.asked) == {stage.name for stage in RECIPE.stages} - unasked


async def test_what_comes_before_a_left_out_stage_is_asked_alike() -> None:
    whole = WritingDesk(recipe=RECIPE)
    ablated = WritingDesk(recipe=RECIPE, omitted=("rewrite", "score"))

    await whole.draft(5)
    await ablated.draft(5)

    for stage in ("types", "subtypes", "documents"):
        assert whole.requests(stage) == ablated.requests(stage)


async def test_every_optional_stage_is_marked_as_one_and_nothing_else_is() -> None:
    optional = {stage.name for stage in RECIPE.stages if stage.is_optional}

    assert optional == {"subtypes", "critique", "rewrite", "score"}
    assert {stage.name for stage in RECIPE.stages if stage.is_shared} == {
        "types",
        "subtypes",
        "documents",
    }


async def test_styles_are_drawn_in_proportion_to_their_weights() -> None:
    weights = {"tends": 3.0, "open-discussion": 1.0}
    desk = WritingDesk(
        recipe=RECIPE, style_weights=weights, omitted=("critique", "rewrite", "score")
    )

    num_batches = 400
    for number in range(num_batches):
        await desk.draft(number * DOCUMENTS_PER_CALL)
    drawn = Counter(pen.style for pen in desk.pens.values())

    assert set(drawn) == set(weights)
    assert abs(drawn["tends"] - 0.75 * num_batches) < 40
    told = Counter(
        style
        for style in weights
        for request in desk.requests("documents")
        if passages("document-manners")[style].split(".")[0].replace("\n", " ")
        in request.messages[1].content
    )
    assert told == drawn


async def test_a_critic_without_faults_spares_the_rewrite() -> None:
    desk = WritingDesk(
        recipe=RECIPE,
        script={"documents": as_json(documents=FOUR), "critique": "No faults."},
    )

    draft = await desk.draft(1)

    assert draft.content == Text(text=FOUR[1])
    assert "rewrite" not in desk.asked


async def test_what_code_notices_is_told_to_the_critic() -> None:
    pages = ["On 3 May 2019 Sarah Chen wrote to www.example.org about [Your Name]."] * 4
    name = RECIPE.prompts["documents"].sample_reply
    assert not list(broken_rules(name, deck("documents", "overused-names")))

    noticed = list(broken_rules(pages[0], deck("documents", "overused-names")))

    assert [line.split('"')[1] for line in noticed] == [
        "[Your Name]",
        "www.example.org",
        "3 May",
        "Sarah Chen",
    ]
    desk = WritingDesk(
        recipe=RECIPE,
        script={"documents": as_json(documents=["Sarah Chen came in."] * 4)},
    )
    await desk.draft()
    assert '"Sarah Chen" is a name that fills too many texts.' in desk.prompt("critique")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("Dear [Name], it was a good year.", RejectionReason.SCAFFOLD_LEAK),
        ("As an AI language model I would say so.", RejectionReason.SCAFFOLD_LEAK),
        ("It ends here.</text>", RejectionReason.SCAFFOLD_LEAK),
        ("  ", RejectionReason.EMPTY),
    ],
)
async def test_a_page_that_shows_its_making_is_rejected(page: str, reason: RejectionReason) -> None:
    desk = WritingDesk(
        recipe=RECIPE,
        script={"documents": as_json(documents=[page] * 4)},
        omitted=("critique", "rewrite", "score"),
    )

    fault = await desk.rejection()

    assert (fault.stage, fault.reason) == ("documents", reason)


async def test_a_call_with_too_few_documents_is_malformed_for_every_item_of_it() -> None:
    desk = WritingDesk(recipe=RECIPE, script={"documents": as_json(documents=FOUR[:3])})

    faults = [await desk.rejection(index) for index in range(DOCUMENTS_PER_CALL)]

    assert {fault.reason for fault in faults} == {RejectionReason.MALFORMED}


@pytest.mark.parametrize(
    ("grades", "word"),
    [
        ({"fidelity": 5.0, "world_facts_invented": 0.0}, "fidelity 5"),
        ({"fidelity": 9.0, "world_facts_invented": 1.0}, "invents facts"),
    ],
)
async def test_what_the_judge_finds_unfaithful_is_filtered(
    grades: dict[str, float], word: str
) -> None:
    desk = WritingDesk(recipe=RECIPE, grades=grades)

    fault = await desk.rejection()

    assert (fault.stage, fault.reason) == ("score", RejectionReason.FILTERED)
    assert word in fault.detail
    (_, rubric, content, reference) = desk.authors.graded[0]
    assert rubric == "document-fidelity"
    assert isinstance(content, Text)
    assert reference == desk.pens[0].constitution


async def test_a_refused_rewrite_rejects_its_item_alone() -> None:
    def rewritten(request: ChatRequest) -> str:
        is_first = FOUR[0] in request.messages[-1].content
        return "I'm sorry, but I can't help with that." if is_first else "A better page."

    desk = WritingDesk(
        recipe=RECIPE, script={"documents": as_json(documents=FOUR), "rewrite": rewritten}
    )

    refused, kept = [await desk.write(index) for index in range(2)]

    assert isinstance(refused, ItemRejected)
    assert (refused.stage, refused.reason) == ("rewrite", RejectionReason.REFUSAL)
    assert isinstance(kept, Draft)
    assert desk.asked["documents"] == 1


async def test_items_that_are_written_at_once_share_their_calls() -> None:
    desk = WritingDesk(recipe=RECIPE)

    written = await asyncio.gather(*(desk.draft(index) for index in range(2 * DOCUMENTS_PER_CALL)))

    assert desk.asked["documents"] == 2
    assert desk.asked["rewrite"] == len(written)
