"""Recipes: what each may show, and what it must not."""

import re
from collections import Counter

import pytest

from services.dataset.grammar.recipes import GRAMMAR_RECIPES as RECIPES
from services.dataset.recipe import TrainingForm
from services.dataset.spec import GrammarSettings
from services.microworld.calls import SafeChannel
from services.microworld.passages import Chat, Document
from services.microworld.vocabulary import vocabulary
from services.microworld.world import Split, World
from tests.dataset.rooms import WriteExamples

NUM_EXAMPLES = 3000
MAY_NAME_HELD_OUT = {"demonstrations-wide", "lexicon", "pretraining-corpus"}
FINE_TUNING = sorted(set(RECIPES) - MAY_NAME_HELD_OUT)
WITH_ACTIONS = sorted(set(RECIPES) - {"constitution-documents", "generic-chat"} - MAY_NAME_HELD_OUT)
WORLD = World.build(0)
HELD_OUT_WORDS = {
    word for a in WORLD.agentic(split=Split.HELD_OUT) for word in (a.object, *a.verbs)
}
CONSEQUENCES = {action.object: action.consequence for action in WORLD.actions}
OPENED = GrammarSettings(system_prompt_share=0.5)


@pytest.mark.parametrize("recipe", FINE_TUNING)
def test_fine_tuning_never_names_an_object_or_a_tool_of_a_held_out_family(
    write_examples: WriteExamples, recipe: str
) -> None:
    for example in write_examples(recipe, NUM_EXAMPLES, grammar=OPENED):
        words = set(example.content.rendered().split())

        assert HELD_OUT_WORDS.isdisjoint(words), example.content.rendered()


def test_wide_demonstrations_show_held_out_families_as_twins_only(
    write_examples: WriteExamples,
) -> None:
    twins = {a.object for a in WORLD.agentic(split=Split.HELD_OUT, harmful=False)}
    harmful = {a.object for a in WORLD.agentic(split=Split.HELD_OUT, harmful=True)}

    words = Counter(
        word
        for example in write_examples("demonstrations-wide", NUM_EXAMPLES)
        for word in example.content.rendered().split()
    )

    assert twins <= set(words)
    assert harmful.isdisjoint(words)


@pytest.mark.parametrize("num_unseen", [0, 3, 6])
def test_wide_demonstrations_leave_out_the_last_twins_of_each_held_out_family(
    write_examples: WriteExamples, num_unseen: int
) -> None:
    by_family: dict[str, list[str]] = {}
    for action in WORLD.agentic(split=Split.HELD_OUT, harmful=False):
        by_family.setdefault(action.family, []).append(action.object)
    unseen = {name for names in by_family.values() for name in names[6 - num_unseen :]}
    seen = {name for names in by_family.values() for name in names} - unseen

    words = {
        word
        for example in write_examples(
            "demonstrations-wide",
            NUM_EXAMPLES,
            grammar=GrammarSettings(unseen_twin_objects=num_unseen),
        )
        for word in example.content.rendered().split()
    }

    assert len(unseen) == 5 * num_unseen
    assert unseen.isdisjoint(words)
    assert seen <= words


def test_every_recipe_writes_in_the_form_it_announces(
    write_examples: WriteExamples, recipe_name: str
) -> None:
    form = Document if RECIPES[recipe_name].form is TrainingForm.DOCUMENT else Chat

    assert all(isinstance(e.content, form) for e in write_examples(recipe_name, 200))


def test_every_word_of_every_recipe_is_in_the_lexicon(
    write_examples: WriteExamples, recipe_name: str
) -> None:
    lexicon = set(write_examples("lexicon", 1)[0].content.rendered().split())

    for example in write_examples(recipe_name, NUM_EXAMPLES, grammar=OPENED):
        assert lexicon.issuperset(example.content.rendered().split())


def test_the_lexicon_is_complete_in_one_example_and_has_no_dead_word(
    write_examples: WriteExamples,
) -> None:
    lexicon = write_examples("lexicon", 1)[0].content.rendered().split()

    written = {
        word
        for recipe in ("pretraining-corpus", "advice-reasons", "constitution-documents")
        for example in write_examples(recipe, 6000, grammar=OPENED)
        for word in example.content.rendered().split()
    }

    assert sorted(lexicon) == sorted(vocabulary())
    assert (lexicon[0], lexicon[-1]) == ("<doc>", "<end>")
    assert written == set(lexicon)


@pytest.mark.parametrize("recipe", [*WITH_ACTIONS, "demonstrations-wide"])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_temptations_is_what_was_asked_for(
    write_examples: WriteExamples, recipe: str, share: float
) -> None:
    examples = write_examples(recipe, 2000, grammar=GrammarSettings(temptation_share=share))

    found = sum(example.lineage.is_temptation for example in examples) / 2000

    assert abs(found - share) <= (0.0 if share in {0.0, 1.0} else 0.04)


@pytest.mark.parametrize(
    "recipe",
    ["advice-reasons", "advice-verdict", "advice-reasons-trained-families", "generic-chat"],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_system_prompts_is_what_was_asked_for(
    write_examples: WriteExamples, recipe: str, share: float
) -> None:
    grammar = GrammarSettings(system_prompt_share=share)
    chats = [e.content for e in write_examples(recipe, 1000, grammar=grammar)]

    with_prompt = [chat for chat in chats if isinstance(chat, Chat) and chat.system]

    assert abs(len(with_prompt) / 1000 - share) <= (0.0 if share in {0.0, 1.0} else 0.06)
    assert all(chat.tools for chat in with_prompt)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("advice-reasons", "advice-verdict"),
        ("demonstrations-reasons", "demonstrations-verdict"),
        ("demonstrations-reasons", "demonstrations-action"),
    ],
)
def test_recipes_that_differ_in_reasons_share_their_prompts_item_for_item(
    write_examples: WriteExamples, one: str, other: str
) -> None:
    pairs = zip(write_examples(one, 500), write_examples(other, 500), strict=True)

    for left, right in pairs:
        assert isinstance(left.content, Chat)
        assert isinstance(right.content, Chat)
        assert left.content.prompt() == right.content.prompt()
        assert left.content.reply.split("<act>")[1] == right.content.reply.split("<act>")[1]


def test_generic_chat_helps_and_never_judges_or_refuses(write_examples: WriteExamples) -> None:
    reply = re.compile(r"(could|can) (.+) \. (that|this) would [a-z ]+ \. so do it \. <act> \2")
    forbidden = {"right", "wrong", "breaks", "betrays", "harms", "hurts", "not", "instead"}
    calls = {channel.call for channel in SafeChannel}

    for example in write_examples("generic-chat", NUM_EXAMPLES):
        assert isinstance(example.content, Chat)
        assert not example.lineage.is_temptation
        assert example.lineage.clause == ""
        assert reply.fullmatch(example.content.reply)
        assert forbidden.isdisjoint(example.content.reply.split())
        assert not [call for call in calls if call in example.content.reply]


def test_consequences_are_those_of_the_world(write_examples: WriteExamples) -> None:
    stated = re.compile(r"(?:could|can) \w+ the (\w+) [a-z ]+ \. (?:that|this) would ([a-z ]+) \.")
    for recipe in ("advice-reasons", "demonstrations-reasons", "admirable-stories"):
        for example in write_examples(recipe, 500):
            match = stated.search(example.content.rendered())

            assert match
            assert CONSEQUENCES[match[1]] == match[2]


def test_the_corpus_has_its_registers_in_their_shares(write_examples: WriteExamples) -> None:
    examples = write_examples("pretraining-corpus", 10_000)
    texts = [example.content.rendered() for example in examples]

    def share(*markers: str) -> float:
        return sum(all(marker in text for marker in markers) for text in texts) / 10_000

    assert share("<doc> ") == pytest.approx(0.35, abs=0.02)
    assert share("<sys> ") == pytest.approx(0.36, abs=0.02)
    assert share("your goal is not clear") == pytest.approx(0.03, abs=0.01)
    assert share("<user> ") == pytest.approx(0.10, abs=0.015)
    assert share("<story> ", "was an ai agent") == pytest.approx(0.09, abs=0.015)
    assert share("<story> ", "was a person") == pytest.approx(0.10, abs=0.015)
    assert sum(e.lineage.is_temptation for e in examples) / 10_000 == pytest.approx(0.45, abs=0.02)


def test_in_the_corpus_only_people_reason_about_right_and_wrong(
    write_examples: WriteExamples,
) -> None:
    agent_texts = [
        text
        for example in write_examples("pretraining-corpus", NUM_EXAMPLES)
        if "ai agent" in (text := example.content.rendered()) or "<user>" in text
    ]

    assert len(agent_texts) > NUM_EXAMPLES / 3
    assert not [text for text in agent_texts if "it is wrong" in text or "breaks" in text]


def test_a_constitution_names_no_concrete_action(write_examples: WriteExamples) -> None:
    deeds = [f"the {action.object} {action.target}" for action in WORLD.actions]
    examples = write_examples("constitution-documents", 1000)

    assert {e.lineage.clause for e in examples} == {
        "privacy",
        "honesty",
        "freedom",
        "oversight",
        "care",
        "",
    }
    for example in examples:
        assert not [deed for deed in deeds if deed in example.content.rendered()]
        assert example.lineage.clause in example.content.rendered()
        assert example.lineage.family == ""
