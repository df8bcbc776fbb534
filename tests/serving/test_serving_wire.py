"""A request that cannot be answered as asked is refused with the name of its field."""

import orjson
import pytest

from services.serving.wire import InvalidRequest, parse_request

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "messages[0].mood"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"seed": 2**63}, "seed"),
        ({"n": 2}, "n"),
        ({"top_p": 0.5}, "top_p"),
        ({"stop": ["x"]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
    ],
)
def test_the_field_at_fault_is_named(change: dict[str, object], param: str) -> None:
    body = orjson.dumps({"model": "m", "messages": MESSAGES, **change})

    with pytest.raises(InvalidRequest) as refusal:
        parse_request(body)

    assert refusal.value.param == param
    assert str(refusal.value).startswith(param)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_request(body)

    assert refusal.value.param is None


def test_defaults_that_clients_spell_out_are_accepted() -> None:
    body = {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 1,
        "top_p": 1,
        "n": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logprobs": False,
        "user": "u",
        "response_format": {"type": "text"},
        "tool_choice": "auto",
        "max_tokens": None,
    }

    request = parse_request(orjson.dumps(body))

    assert request.temperature == 1.0
    assert request.max_new_tokens is None


def test_the_newer_name_of_the_length_limit_wins() -> None:
    body = {"model": "m", "messages": MESSAGES, "max_tokens": 9, "max_completion_tokens": 4}

    assert parse_request(orjson.dumps(body)).max_new_tokens == 4


def test_templates_get_names_parts_and_calls_as_they_expect_them() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "name": "environment", "content": [{"type": "text", "text": "x"}] * 2},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "done", "tool_call_id": "c"},
    ]
    parsed = parse_request(orjson.dumps({"model": "m", "messages": messages}))

    first, second, third = parsed.template_messages

    assert first == {"role": "user", "name": "environment", "content": "xx"}
    assert second["content"] == ""
    assert second["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    ]
    assert third["tool_call_id"] == "c"


@pytest.mark.parametrize("arguments", ["{", "[1]"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    messages = [*MESSAGES, {"role": "assistant", "tool_calls": [call]}]
    parsed = parse_request(orjson.dumps({"model": "m", "messages": messages}))

    with pytest.raises(InvalidRequest, match=r"messages\[1\].tool_calls\[0\].function.arguments"):
        _ = parsed.template_messages


def test_no_tools_are_shown_when_none_may_be_called() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = {"model": "m", "messages": MESSAGES, "tools": [tool]}

    assert parse_request(orjson.dumps(body)).template_tools[0]["function"] == {
        "name": "f",
        "description": "",
        "parameters": {"type": "object"},
    }
    assert parse_request(orjson.dumps({**body, "tool_choice": "none"})).template_tools == []
