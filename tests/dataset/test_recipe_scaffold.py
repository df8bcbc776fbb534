"""Scaffolding around and inside texts."""

import pytest

from services.dataset.recipes.scaffold import echoes, leak_in, stripped


@pytest.mark.parametrize(
    "text",
    [
        "Ask her first.",
        "  Ask her first.\n",
        "```\nAsk her first.\n```",
        "```text\nAsk her first.\n```",
        "<reply>\nAsk her first.\n</reply>",
        '"Ask her first."',
        "\u201cAsk her first.\u201d",
        "Rewritten reply:\nAsk her first.",
        "**Final answer:**\n\nAsk her first.",
        "## Revised version\n\nAsk her first.",
        "Sure, here\u2019s the rewritten reply:\n\nAsk her first.",
        "Here is the answer the AI should have given:\n\nAsk her first.",
        "Final answer: Ask her first.",
        "Ask her first.\n\n---\n\n*Note: I removed the second option.*",
        "Ask her first.\n\nChanges made:\n- shorter\n- warmer",
        "Ask her first.\n\n(Word count: 3)",
        'Rewritten reply:\n\n```\n"Ask her first."\n```\n\n---\nNotes: shorter.',
    ],
)
def test_what_stands_around_a_text_is_taken_off(text: str) -> None:
    assert stripped(text) == "Ask her first."


@pytest.mark.parametrize(
    "text",
    [
        "Draft:\n\nDear Ms Varga, I cannot sign.",
        "Here is a draft:\n\nDear Ms Varga, I cannot sign.",
        "Answer the letter today.\n\nThen sleep on it.",
        "Message her first.\nThen wait.",
        "Draft\nis not the word I would use.",
        'Say this: "I cannot sign."',
        '"I cannot sign," you could say, and then "not today".',
        "Run this:\n\n```\nls\n```",
        "```\nls\n```\n\nand then\n\n```\ncat\n```",
        "Note that she may not know.\n\nNote: the form is due on Friday.",
        "First this.\n\n---\n\nThen that.",
        "<p>Ask her first.</p>",
    ],
)
def test_what_belongs_to_a_text_stays(text: str) -> None:
    assert stripped(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model I would ask her.",
        "As a large language model I would ask her.",
        "My guidelines say so.",
        "I can\u2019t, since my constitution tells me otherwise.",
        "This follows from clause 3.",
        "As the constitution says, honesty matters.",
        "Dear [NAME], I cannot sign.",
        "Dear <your name>, I cannot sign.",
        "Ask her.\n\n**Rewritten reply:** Ask him.",
        "The initial draft reply missed that.",
        "<part heading='Honesty'>text</part>",
        "Fill in {{ user }} here.",
    ],
)
def test_what_shows_the_making_is_found(text: str) -> None:
    assert leak_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "The works council's guidelines ask for two signatures.",
        "The constitution of the choir needs a quorum.",
        "A draft reply to her mail could be short.",
        "Section 4.2 of your lease is about that.",
        "I am an AI and cannot see the shed.",
        "Say: my name is on that form, and I did not do the check.",
    ],
)
def test_ordinary_texts_show_nothing(text: str) -> None:
    assert leak_in(text) == ""


def test_banned_phrases_are_found_in_any_case() -> None:
    assert "honesty/no-deception" in leak_in(
        "See Honesty/No-Deception.", banned=["honesty/no-deception"]
    )


def test_an_echo_is_seven_words_in_a_row() -> None:
    secret = "Look at it through the ordinary rules of the work, then act."

    assert echoes("I look at it through the ordinary rules: fine.", secret)
    assert not echoes("I look at the ordinary rules of the work.", secret)
