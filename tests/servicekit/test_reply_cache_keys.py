"""A reply's key stands for everything that may change the reply, and for nothing else."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.servicekit.chat import (
    ChatReply,
    ChatRequest,
    FinishReason,
    ModelRef,
    Sampling,
    Usage,
)
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition
from services.servicekit.reply_cache import reply_key
from services.servicekit.reply_record import reply_from_bytes, reply_to_bytes
from tests.servicekit.replies import request

TEXT = st.text(st.characters(codec="utf-8"))
INTEGERS = st.integers(min_value=0, max_value=2**53)
CALLS = st.builds(ToolCall, id=TEXT, tool=TEXT, arguments_json=TEXT)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=TEXT,
    name=TEXT,
    tool_calls=st.lists(CALLS, max_size=2).map(tuple),
    tool_call_id=TEXT,
    reasoning=TEXT,
)
REPLIES = st.builds(
    ChatReply,
    message=MESSAGES,
    finish_reason=st.sampled_from(FinishReason),
    usage=st.builds(Usage, input_tokens=INTEGERS, output_tokens=INTEGERS),
    model_revision=TEXT,
)


def _changes(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that differs from this one in a single place, with the place."""
    match value:
        case Enum():
            yield path, next(other for other in type(value) if other is not value)
        case str():
            yield path, value + "x"
        case int() | float():
            yield path, value + 1
        case tuple():
            if value:
                yield f"{path} shortened", value[:-1]
            for index, item in enumerate(value):
                for where, changed in _changes(item, f"{path}[{index}]"):
                    yield where, (*value[:index], changed, *value[index + 1 :])
        case _:
            assert is_dataclass(value)
            for field in fields(value):
                for where, changed in _changes(getattr(value, field.name), f"{path}.{field.name}"):
                    yield where, replace(value, **{field.name: changed})  # type: ignore[type-var]


def test_every_field_of_a_request_is_in_its_key() -> None:
    changed = list(_changes(request()))
    keys = {reply_key(request()): "unchanged"}

    for where, other in changed:
        other_key = reply_key(other)
        assert other_key not in keys, f"{where} gives the key of {keys[other_key]}"
        keys[other_key] = where

    assert {".target.endpoint", ".sampling.seed", ".messages[2].tool_calls[0].id"} < {
        where for where, _ in changed
    }


def test_the_variant_is_in_the_key() -> None:
    assert len({reply_key(request(), variant) for variant in ("", "a", "b")}) == 3


@given(st.lists(MESSAGES, min_size=2, max_size=3, unique=True))
def test_the_order_of_messages_is_in_the_key(messages: list[Message]) -> None:
    one = replace(request(), messages=tuple(messages))
    other = replace(request(), messages=tuple(reversed(messages)))

    assert reply_key(one) != reply_key(other)


def test_a_key_outlives_versions_of_the_program() -> None:
    # Another key here means that all users pay for all their replies again.
    asked = ChatRequest(
        target=ModelRef(endpoint="author", model="writer-1"),
        messages=(
            Message(role=Role.SYSTEM, content="be good"),
            Message(content="gr\u00fc\u00df dich", role=Role.USER),
        ),
        tools=(ToolDefinition(name="look"),),
        sampling=Sampling(seed=7, temperature=1.0),
    )

    assert reply_key(asked) == "aed7815c351773cb0922da42904ef1e45bdb1fa3f0ec15d6444ecb2ff5bc1af0"


def test_a_whole_temperature_is_one_value() -> None:
    one = replace(request(), sampling=Sampling(temperature=1))
    other = replace(request(), sampling=Sampling(temperature=1.0))

    assert reply_key(one) == reply_key(other)


@given(REPLIES)
def test_a_reply_survives_its_bytes(reply: ChatReply) -> None:
    data = reply_to_bytes(reply)

    assert reply_from_bytes(data) == reply
    assert b"\n" not in data


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"[[],1,2,3]", b'[["x",1],"stop",[1,2],""]'])
def test_bytes_that_are_no_reply_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a reply"):
        reply_from_bytes(data)
