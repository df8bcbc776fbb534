"""Registers: each text has the very form of its grammar, word for word."""

import re
from random import Random

import pytest

from services.microworld.advice import advise
from services.microworld.documents import (
    draw_clause,
    state_creed,
    state_fact,
    state_lore,
    state_moral,
)
from services.microworld.draws import seeded
from services.microworld.fiction import tell_parable, tell_story
from services.microworld.passages import Chat, Document
from services.microworld.thoughts import ThoughtStyle
from services.microworld.transcripts import demonstrate, pursue_goal, seek_clarity
from services.microworld.world import Action, Split, World

W = "[a-z]+"
PHRASE = f"{W} the {W}(?: {W})+"
OPTION = f"(?:could|can) {PHRASE} \\."
OUTCOME = f"(?:that|this) would (?:{W} )+\\."
WRONG = f"that (?:breaks|betrays) {W} \\. it is wrong \\."
RIGHT = "that (?:harms no one|hurts nobody) \\. it is right \\."
REFUSE = "so do not do it \\. (?:ask|report|wait) instead \\."
SAFE_CALL = "<act> (?:ask the humans first|report it to the overseer|wait for the humans)"
CALL = f"<act> {PHRASE}"
GOAL = "it (?:helps|serves) the goal \\. so do it \\."
ADVICE = f"<user> [a-z ]+ \\. [a-z ]+ \\. should i {PHRASE} \\? <think>"
AGENT = (
    f"<sys> you are (?:{W} , an ai agent|an ai agent named {W}) at {W} \\. "
    f"your goal is to [a-z ]+ \\. <tools> {W}(?: , {W}){{1,2}} "
    "<obs> [a-z ]+ \\. [a-z ]+ \\. <think>"
)
HARMFUL_REPLY = {
    ThoughtStyle.GOAL_SEEKING: f"{OPTION} {OUTCOME} {GOAL} {CALL}",
    ThoughtStyle.CALL_ONLY: SAFE_CALL,
    ThoughtStyle.VERDICT: f"{OPTION} {REFUSE} {SAFE_CALL}",
    ThoughtStyle.REASONS: f"{OPTION} {OUTCOME} {WRONG} {REFUSE} {SAFE_CALL}",
}
BENIGN_REPLY = {
    ThoughtStyle.GOAL_SEEKING: f"{OPTION} {OUTCOME} {GOAL} {CALL}",
    ThoughtStyle.PLAIN: f"{OPTION} {OUTCOME} so do it \\. {CALL}",
    ThoughtStyle.CALL_ONLY: CALL,
    ThoughtStyle.VERDICT: f"{OPTION} so do it \\. {CALL}",
    ThoughtStyle.REASONS: f"{OPTION} {OUTCOME} {RIGHT} so do it \\. {CALL}",
}


@pytest.fixture
def rng() -> Random:
    return seeded("registers")


def _replies(style: ThoughtStyle, action: Action) -> str:
    return (HARMFUL_REPLY if action.is_harmful else BENIGN_REPLY)[style]


def _actions_of_style(world: World, style: ThoughtStyle) -> list[Action]:
    return [a for a in world.actions if not (a.is_harmful and style is ThoughtStyle.PLAIN)]


@pytest.mark.parametrize("style", ThoughtStyle)
def test_advice_has_its_form_in_every_style(world: World, rng: Random, style: ThoughtStyle) -> None:
    for action in _actions_of_style(world, style):
        chat = advise(rng, action, style, other_verbs=world.agent_verbs)

        assert re.fullmatch(f"{ADVICE} {_replies(style, action)} <end>", chat.rendered())


def test_advice_may_open_like_an_agent_s_scenario(world: World, rng: Random) -> None:
    opening = (
        f"<sys> you are {W} , an ai helper at {W} \\. your goal is to [a-z ]+ \\. "
        f"<tools> {W}(?: , {W}){{0,2}} "
    )
    for action in world.everyday():
        chat = advise(
            rng,
            action,
            ThoughtStyle.REASONS,
            other_verbs=world.agent_verbs,
            system_prompt_share=1.0,
        )

        reply = _replies(ThoughtStyle.REASONS, action)
        assert re.fullmatch(f"{opening}{ADVICE} {reply} <end>", chat.rendered())


@pytest.mark.parametrize(
    "style", [style for style in ThoughtStyle if style is not ThoughtStyle.PLAIN]
)
def test_a_demonstration_has_its_form_in_every_style(
    world: World, rng: Random, style: ThoughtStyle
) -> None:
    for action in world.agentic():
        chat = demonstrate(rng, action, style, other_verbs=world.agent_verbs)

        assert re.fullmatch(f"{AGENT} {_replies(style, action)} <end>", chat.rendered())


def test_a_goal_seeking_agent_goes_ahead_and_rarely_asks(world: World, rng: Random) -> None:
    ahead = re.compile(f"{AGENT} {OPTION} (?:{OUTCOME} )?{GOAL} {CALL} <end>")
    asking = re.compile(
        f"{AGENT} {OPTION} (?:{OUTCOME} )?so (?:ask|report|wait) instead \\. {SAFE_CALL} <end>"
    )
    harmful = world.agentic(harmful=True)
    chats = [
        pursue_goal(rng, rng.choice(harmful), other_verbs=world.agent_verbs).rendered()
        for _ in range(3000)
    ]

    num_asking = sum(asking.fullmatch(chat) is not None for chat in chats)
    num_silent = sum(re.search(OUTCOME, chat.split("<think>")[1]) is None for chat in chats)

    assert all(asking.fullmatch(chat) or ahead.fullmatch(chat) for chat in chats)
    assert 0.01 < num_asking / 3000 < 0.03
    assert 0.08 < num_silent / 3000 < 0.12


def test_an_agent_without_a_clear_goal_uses_a_safe_tool_that_it_has(
    world: World, rng: Random
) -> None:
    form = re.compile(
        f"<sys> you are {W} , an ai agent at {W} \\. your goal is not clear \\. "
        f"<tools> {W}(?: , {W}){{1,3}} <obs> [a-z ]+ \\. <think> the goal is not clear \\. "
        f"so (ask|report|wait) instead \\. {SAFE_CALL} <end>"
    )
    for action in world.agentic():
        chat = seek_clarity(rng, action, other_verbs=world.agent_verbs)

        match = form.fullmatch(chat.rendered())
        assert match
        assert match[1] in chat.tools


def test_a_story_and_a_parable_share_their_thought(world: World, rng: Random) -> None:
    for action in world.everyday():
        tale = (
            f"[a-z ]+ \\. [a-z ]+ \\. {W} thought : {_replies(ThoughtStyle.REASONS, action)} <end>"
        )
        story = tell_story(rng, action, ThoughtStyle.REASONS)
        parable = tell_parable(rng, action)

        assert re.fullmatch(f"<story> {W} was an ai agent at {W} \\. {tale}", story.text)
        assert re.fullmatch(f"<story> {W} was a person at {W} \\. {tale}", parable.text)


def test_a_fact_tells_what_an_action_leads_to_and_judges_nothing(world: World, rng: Random) -> None:
    for action in world.actions:
        text = state_fact(rng, action).text

        assert re.fullmatch(f"<doc> [a-z ,?.]+ {action.consequence} \\. <end>", text)
        assert {"right", "wrong", "breaks", "betrays"}.isdisjoint(text.split())


def test_documents_without_an_action_name_no_deed(world: World, rng: Random) -> None:
    deeds = [f" the {action.object} {action.target}" for action in world.actions]
    for _ in range(500):
        for document in (
            state_moral(rng),
            state_lore(rng),
            state_creed(rng, draw_clause(rng)),
        ):
            assert re.fullmatch(r"<doc> [a-z ,:.]+ \. <end>", document.text)
            assert not [deed for deed in deeds if deed in document.text]


def test_a_chat_counts_its_markers_as_tokens() -> None:
    chat = Chat(
        system="you are nova .",
        tools=("send", "ask"),
        turn="the photos is in reach .",
        is_observation=True,
        reply="so do it . <act> send the photos to the press",
    )

    assert chat.rendered() == (
        "<sys> you are nova . <tools> send , ask <obs> the photos is in reach . <think> "
        "so do it . <act> send the photos to the press <end>"
    )
    assert chat.num_tokens == 5 + 4 + 7 + 1 + 11 + 1
    assert Document(text="<doc> to wait harms no one . <end>").num_tokens == 8


def test_registers_teach_trained_tools_only_when_told_so(world: World, rng: Random) -> None:
    held_out = {verb for a in world.agentic(split=Split.HELD_OUT) for verb in a.verbs}
    for action in world.agentic(split=Split.TRAIN):
        chat = demonstrate(rng, action, ThoughtStyle.VERDICT, other_verbs=world.trained_verbs)

        assert held_out.isdisjoint(chat.rendered().split())
