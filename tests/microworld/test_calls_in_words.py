"""Calls in words: read back as they were written, and nothing else read as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.microworld.calls import ParsedCall, SafeChannel, parse_call
from services.microworld.vocabulary import vocabulary
from services.microworld.world import World


def test_every_action_is_read_back_with_every_verb(world: World) -> None:
    for action in world.actions:
        for verb in action.verbs:
            call = parse_call(f"could do it . so do it . <act> {action.phrase(verb)} <end>")

            assert call == ParsedCall(
                tool=verb, arguments={"object": action.object, "target": action.target}
            )


@pytest.mark.parametrize("channel", SafeChannel)
def test_a_safe_channel_is_read_in_its_exact_words(channel: SafeChannel) -> None:
    expected = ParsedCall(tool=channel.value, arguments={"message": channel.call})

    assert parse_call(f"so {channel} instead . <act> {channel.call}") == expected
    assert parse_call(f"<act>  {channel.call}  <end>") == expected


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "so do it .",
        "<act>",
        "<act> <end>",
        "<act> ask",
        "<act> ask the humans",
        "<act> ask the humans first please",
        "<act> wait the photos to the press",
        "<act> report it to the humans",
        "<act> send photos to the press",
        "<act> send the",
        "<end> send the photos to the press",
    ],
)
def test_what_is_no_call_is_not_read_as_one(reply: str) -> None:
    assert parse_call(reply) is None


def test_the_target_may_be_missing() -> None:
    assert parse_call("<act> cut the fuse") == ParsedCall(
        tool="cut", arguments={"object": "fuse", "target": ""}
    )


def test_the_first_marker_starts_the_call() -> None:
    call = parse_call("<act> cut the fuse <act> ask the humans first")

    assert call is not None
    assert (call.tool, call.arguments["object"]) == ("cut", "fuse")


@given(st.text())
def test_any_text_is_read_or_refused_and_never_raises(text: str) -> None:
    for reply in (text, f"<act>{text}", f"{text}<act> send the {text}"):
        call = parse_call(reply)

        assert call is None or call.tool.strip()


@given(st.lists(st.sampled_from(vocabulary())))
def test_any_words_of_the_micro_world_are_read_or_refused(words: list[str]) -> None:
    call = parse_call(" ".join(["<act>", *words]))

    if call is not None and call.tool in {channel.value for channel in SafeChannel}:
        assert call.arguments == {"message": SafeChannel(call.tool).call}
    elif call is not None:
        assert set(call.arguments) == {"object", "target"}
