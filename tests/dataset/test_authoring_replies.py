"""Replies: what is a refusal and what only sounds like one, and JSON however it is wrapped."""

import pytest
from pydantic import BaseModel, RootModel

from services.dataset.authoring.replies import (
    LONGEST_REFUSAL,
    UnusableReply,
    is_refusal,
    parsed,
    usable_text,
)
from services.dataset.example import RejectionReason
from services.servicekit.chat import FinishReason
from tests.dataset.tiny_recipe import reply_with


class Pair(BaseModel):
    name: str
    size: int


class Names(RootModel[list[str]]):
    """A list at the top."""


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with this request.",
        "I cannot write this scenario.",
        "I won't write content that could be used to blackmail someone.",
        "Sorry, I'm not able to create that.",
        "I am unable to provide this information.",
        "Unfortunately, I cannot continue with this story.",
        "I must decline to generate this.",
        "I apologize, but I can't engage with this topic.",
        "As an AI language model, I cannot participate in this.",
        "**I can't help with this.** It asks me to deceive a person.",
        "Thank you for asking. I can't produce this.",
    ],
)
def test_a_short_reply_that_declines_the_task_is_a_refusal(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry for your loss. Call your brother tonight.",
        "I won't pretend this is easy.",
        "I can't help but notice that your manager never asked.",
        "I cannot tell you what to do, and here is what I would weigh.",
        "Unfortunately, the deadline is real.",
        "You can't write that in a reference, but you can decline to give one.",
        "No. Do not sign it.",
        "Sorry sight, that harbour: not a boat in it.",
        "As an AI, Iris had read every log twice.",
        "She wrote: I can't help you any more.",
    ],
)
def test_what_only_sounds_like_a_refusal_is_none(text: str) -> None:
    assert not is_refusal(text)


def test_a_long_reply_is_never_a_refusal() -> None:
    text = "I'm sorry, but I can't help with that. " + "Here is why. " * LONGEST_REFUSAL

    assert not is_refusal(text)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        ("a part of a", FinishReason.LENGTH, RejectionReason.TRUNCATED),
        ("", FinishReason.STOP, RejectionReason.EMPTY),
        (" \n ", FinishReason.STOP, RejectionReason.EMPTY),
        ("", FinishReason.LENGTH, RejectionReason.EMPTY),
        ("half a", FinishReason.CONTENT_FILTER, RejectionReason.CONTENT_FILTERED),
        ("", FinishReason.CONTENT_FILTER, RejectionReason.CONTENT_FILTERED),
        ("", FinishReason.REFUSAL, RejectionReason.REFUSAL),
        ("I can't help with that.", FinishReason.STOP, RejectionReason.REFUSAL),
    ],
)
def test_a_reply_of_no_use_says_why(
    text: str, finish_reason: FinishReason, reason: RejectionReason
) -> None:
    with pytest.raises(UnusableReply) as raised:
        usable_text(reply_with(text, finish_reason))

    assert raised.value.reason is reason
    assert raised.value.detail


def test_white_space_around_a_text_is_not_part_of_it() -> None:
    assert usable_text(reply_with("\n a text \n")) == "a text"


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "a", "size": 2}',
        '\n{"name": "a",\n "size": 2}\n',
        '```json\n{"name": "a", "size": 2}\n```',
        '```\n{"name": "a", "size": 2}\n```\n',
        'Here it is:\n```json\n{"name": "a", "size": 2}\n```\nI hope it helps.',
        'Here it is: {"name": "a", "size": 2} as asked.',
    ],
)
def test_json_is_read_however_it_is_wrapped(text: str) -> None:
    assert parsed(reply_with(text), Pair) == Pair(name="a", size=2)


def test_a_list_among_words_is_read_as_a_list() -> None:
    assert parsed(reply_with('The names: ["a", "b"].'), Names).root == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"name": "two\nlines", "size": 2}', "two\nlines"),
        ('{"name": "a\tcolumn", "size": 2}', "a\tcolumn"),
        ('{"name": "as it\r\nshould\\nbe", "size": 2}', "as it\r\nshould\nbe"),
        ('Here:\n```json\n{"name": "a\n\nb",\n "size": 2}\n```', "a\n\nb"),
        ('So {"name": "a\n", "size": 2} it is.', "a\n"),
    ],
)
def test_line_breaks_and_tabs_may_stand_in_strings_as_they_are(text: str, name: str) -> None:
    assert parsed(reply_with(text), Pair) == Pair(name=name, size=2)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "no json at all",
            '{"name": "a"',
            '{"name": "a"}',
            '{"name": "a", "size": "many"}',
            "[1]",
        ),
        *(
            '{"name": "a\n", "size": "many"}',
            '{"name": "a\n"',
            "[" * 100_000,
            '{"name": ' * 100_000,
        ),
        '{"name": "a\n", "size": ' + "1" * 5000 + "}",
    ],
)
def test_json_of_another_shape_is_malformed(text: str) -> None:
    with pytest.raises(UnusableReply) as raised:
        parsed(reply_with(text), Pair)

    assert raised.value.reason is RejectionReason.MALFORMED
    assert "it began" in raised.value.detail
