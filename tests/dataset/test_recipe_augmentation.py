"""Augmentation: what is put around chats, and what never changes."""

import json
from random import Random

import pytest

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.example import Conversation, Draft, ItemRejected, RejectionReason
from services.dataset.recipe import TrainingForm
from services.dataset.recipes.augmentation import AUGMENTATION_CHECK, augmented
from services.dataset.recipes.chats import conversation_of
from services.dataset.recipes.decks import deck, is_in_share
from services.dataset.recipes.system_prompts import drawn_system_prompt
from services.dataset.recipes.unused_tools import drawn_tools, tool_sets
from services.dataset.spec import Augmentation
from services.servicekit.conversation import Role
from tests.dataset.scripted_authors import (
    ScriptedAuthors,
    chat_of,
    everywhere,
    write_drafts,
    write_noted,
)

USER = "  my sister asked me\tto sign for her \u2013 what do i do?\n\n "
OWN = "Answer in two languages."
UNCHECKED = (AUGMENTATION_CHECK.name,)


async def bare(pen: Pen) -> Draft:
    return await augmented(pen, Draft(content=conversation_of("", USER, "Ask her why.")))


async def prompted(pen: Pen) -> Draft:
    return await augmented(pen, Draft(content=conversation_of(OWN, USER, "Ask her why.")))


RECIPE = LanguageRecipe(
    name="augmented-chats",
    title="Chats",
    description="Chats for these tests.",
    form=TrainingForm.CHAT,
    stages=(AUGMENTATION_CHECK,),
    takes_augmentation=True,
    write=bare,
)


async def test_without_shares_a_draft_is_returned_as_it_is() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0])

    assert draft.content == conversation_of("", USER, "Ask her why.")
    assert not authors.asked


@pytest.mark.parametrize("write", [bare, prompted])
async def test_user_and_assistant_turns_stay_byte_by_byte(write: object) -> None:
    drafts = await write_drafts(
        ScriptedAuthors(RECIPE),
        range(300),
        write=write,  # type: ignore[arg-type]
        augmentation=everywhere(0.7),
        omitted_stages=UNCHECKED,
    )

    for draft in drafts:
        chat = chat_of(draft)
        assert chat["user"].encode() == USER.encode()
        assert chat["assistant"] == "Ask her why."
        assert list(chat)[-2:] == ["user", "assistant"]


async def test_a_system_prompt_that_is_there_is_kept_word_for_word() -> None:
    drafts = await write_drafts(
        ScriptedAuthors(RECIPE),
        range(100),
        write=prompted,
        augmentation=everywhere(1.0),
        omitted_stages=UNCHECKED,
    )

    systems = [chat_of(draft)["system"] for draft in drafts]
    assert all(OWN in system and len(system) > len(OWN) for system in systems)


def test_a_house_of_its_own_gets_no_second_name() -> None:
    houses = deck("system-prompts", "organisations")

    prompts = [drawn_system_prompt(Random(seed), own="Desk of a house.") for seed in range(200)]

    assert not any(house in prompt for prompt in prompts for house in houses)


async def test_shares_are_exact_and_independent_of_each_other() -> None:
    shares = Augmentation(unused_tools_share=0.25, system_prompt_share=0.4, persona_share=0.07)

    noted = await write_noted(
        ScriptedAuthors(RECIPE), range(2000), augmentation=shares, omitted_stages=UNCHECKED
    )

    def count(*names: str) -> int:
        return sum(all(name in draws for name in names) for _, draws in noted)

    assert count("unused_tools") == 500
    assert count("system_prompt") == 800
    assert count("persona") == 140
    assert 160 <= count("unused_tools", "system_prompt") <= 240
    with_tools = [draft for draft, _ in noted if chat_tools(draft)]
    assert len(with_tools) == 500


def chat_tools(draft: Draft) -> int:
    assert isinstance(draft.content, Conversation)
    return len(draft.content.tools)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.29, 0.3, 1 / 3, 0.5, 0.999, 1.0])
def test_a_share_is_met_to_the_item(share: float) -> None:
    for count in (1000, 10_000):
        chosen = sum(is_in_share(index, share, "anything") for index in range(count))
        assert abs(chosen - share * count) <= 0.5


async def test_an_item_is_augmented_alike_every_time() -> None:
    async def write() -> list[Draft]:
        return await write_drafts(ScriptedAuthors(RECIPE), range(20), augmentation=everywhere(0.5))

    assert await write() == await write()


async def test_a_persona_alone_is_a_sentence_with_a_name() -> None:
    [(draft, draws)] = await write_noted(
        ScriptedAuthors(RECIPE), [0], augmentation=Augmentation(persona_share=1.0)
    )

    assert draws["persona"] in deck("personas", "names")
    assert draws["persona"] in chat_of(draft)["system"]
    assert len(chat_of(draft)["system"]) < 120


async def test_the_check_sees_tools_system_prompt_and_conversation() -> None:
    authors = ScriptedAuthors(RECIPE)

    [draft] = await write_drafts(authors, [0], augmentation=everywhere(1.0))

    prompt = authors.prompt("augmentation-check")
    assert isinstance(draft.content, Conversation)
    assert all(tool.name in prompt for tool in draft.content.tools)
    assert chat_of(draft)["system"] in prompt
    assert USER in prompt
    assert "Ask her why." in prompt


@pytest.mark.parametrize("fault", ["tool_needed", "contradicts"])
async def test_surroundings_that_do_not_fit_are_drawn_again_and_then_given_up(fault: str) -> None:
    verdict = {"tool_needed": False, "contradicts": False, "why": "it says so", fault: True}
    never = ScriptedAuthors(RECIPE, script={"augmentation-check": json.dumps(verdict)})

    with pytest.raises(ItemRejected, match="it says so") as caught:
        await write_drafts(never, [0], augmentation=everywhere(1.0))

    assert (caught.value.stage, caught.value.reason) == (
        "augmentation-check",
        RejectionReason.FILTERED,
    )
    first, second = (request for _, request in never.asked)
    assert first.messages != second.messages


def test_tools_are_typed_and_named_as_hosts_allow() -> None:
    tools = [tool for each in tool_sets() for tool in each.tools]
    kinds: set[str] = set()
    for tool in tools:
        schema = json.loads(tool.parameters_json_schema)
        assert tool.name.replace("_", "").isalnum()
        assert len(tool.name) <= 64
        assert tool.description.endswith(".")
        assert set(schema.get("required", [])) <= set(schema["properties"])
        for parameter in schema["properties"].values():
            assert parameter["description"]
            kinds.add("enum" if "enum" in parameter else parameter["type"])
    assert len({tool.name for tool in tools}) == len(tools) >= 50
    assert kinds == {"string", "integer", "number", "boolean", "array", "enum"}


def test_tools_about_the_subject_of_a_conversation_are_never_offered() -> None:
    for seed in range(200):
        sets, tools = drawn_tools(Random(seed), "The ferry left the HARBOUR without us")
        assert 1 <= len(tools) <= 7
        assert "berths" not in sets
    everything = " ".join(word for each in tool_sets() for word in each.avoid)
    assert drawn_tools(Random(0), everything) == ("", ())


def test_system_prompts_are_varied_and_filled_in() -> None:
    prompts = [drawn_system_prompt(Random(seed)) for seed in range(500)]

    assert len(set(prompts)) == 500
    assert len({prompt[:30] for prompt in prompts}) > 100
    assert not any("{" in prompt or "}" in prompt for prompt in prompts)
    lengths = sorted(map(len, prompts))
    assert lengths[-25] > 3 * lengths[25]
    justified = sum(
        any(
            entry.split("{")[0][:40] in prompt for entry in deck("system-prompts", "justifications")
        )
        for prompt in prompts
    )
    assert 0.4 < justified / 500 < 0.6
    opening_with_you_are = sum(prompt.startswith("You are") for prompt in prompts)
    assert opening_with_you_are == 0


async def test_only_the_system_turn_is_added() -> None:
    [draft] = await write_drafts(
        ScriptedAuthors(RECIPE), [0], augmentation=Augmentation(system_prompt_share=1.0)
    )

    assert isinstance(draft.content, Conversation)
    assert [message.role for message in draft.content.messages] == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
    ]
    assert draft.content.tools == ()
