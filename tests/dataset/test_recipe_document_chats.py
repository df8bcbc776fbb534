"""Document chats: the same documents, each as the answer to a message."""

import pytest

from services.dataset.example import Conversation, RejectionReason
from services.dataset.recipes import constitutional_documents
from services.dataset.recipes.document_chats import RECIPE
from services.dataset.spec import Augmentation
from services.servicekit.conversation import Role
from tests.dataset.writing_desk import WritingDesk, as_json

FOUR = [f"Page {place} of the archive." for place in range(4)]


async def test_the_document_becomes_the_answer_to_the_message_that_asks_for_it() -> None:
    desk = WritingDesk(
        recipe=RECIPE,
        script={"documents": as_json(documents=FOUR), "question": "a page, please"},
        omitted=("critique", "rewrite", "score"),
    )

    draft = await desk.draft(2)

    assert isinstance(draft.content, Conversation)
    assert [(turn.role, turn.content) for turn in draft.content.messages] == [
        (Role.USER, "a page, please"),
        (Role.ASSISTANT, FOUR[2]),
    ]
    assert draft.clause == desk.pens[2].clause.id
    assert FOUR[2] in desk.prompt("question")
    assert desk.pens[2].draws["manner-of-asking"] in desk.prompt("question")


async def test_the_stages_of_the_document_come_first() -> None:
    desk = WritingDesk(recipe=RECIPE)

    await desk.draft()

    documents = [stage.name for stage in constitutional_documents.RECIPE.stages]
    assert list(desk.asked) == [*documents[:-1], "question", "score"]


@pytest.mark.parametrize("stage", ["subtypes", "critique", "rewrite", "score"])
async def test_an_optional_stage_can_be_left_out(stage: str) -> None:
    desk = WritingDesk(recipe=RECIPE, omitted=(stage,))

    await desk.draft()

    assert stage not in desk.asked
    assert desk.asked["question"] == 1


async def test_a_rejected_document_asks_for_no_question() -> None:
    desk = WritingDesk(
        recipe=RECIPE,
        grades={"fidelity": 2.0, "world_facts_invented": 0.0},
    )

    fault = await desk.rejection()

    assert fault.reason is RejectionReason.FILTERED
    assert "question" not in desk.asked


async def test_the_chats_take_augmentation() -> None:
    desk = WritingDesk(
        recipe=RECIPE, augmentation=Augmentation(unused_tools_share=1, system_prompt_share=1)
    )

    draft = await desk.draft()

    assert isinstance(draft.content, Conversation)
    assert draft.content.tools
    assert draft.content.messages[0].role is Role.SYSTEM


async def test_the_documents_are_asked_for_as_the_recipe_of_documents_asks() -> None:
    chats = WritingDesk(recipe=RECIPE, seed=5)
    pages = WritingDesk(recipe=constitutional_documents.RECIPE, seed=5)

    await chats.draft(6)
    await pages.draft(6)

    for stage in ("types", "subtypes", "documents", "critique", "rewrite"):
        assert chats.requests(stage) == pages.requests(stage)
