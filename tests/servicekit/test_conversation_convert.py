"""Conversations between protobuf and domain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from teachwhy.common.v1 import conversation_pb2, model_pb2

from services.servicekit.chat import ModelRef, Sampling, Usage
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition
from services.servicekit.conversation_convert import (
    message_from_proto,
    message_to_proto,
    model_ref_from_proto,
    model_ref_to_proto,
    sampling_from_proto,
    sampling_to_proto,
    tool_from_proto,
    tool_to_proto,
    usage_from_proto,
    usage_to_proto,
)
from services.servicekit.errors import InvalidField

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
CALLS = st.builds(ToolCall, id=TEXT, tool=TEXT, arguments_json=TEXT)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=TEXT,
    name=TEXT,
    tool_calls=st.lists(CALLS, max_size=3).map(tuple),
    tool_call_id=TEXT,
    reasoning=TEXT,
)
TOOLS = st.builds(
    ToolDefinition,
    name=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    description=TEXT,
    parameters_json_schema=TEXT,
)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    max_output_tokens=st.integers(1, 32_768),
    seed=st.integers(0, 2**64 - 1),
)
MODELS = st.builds(
    ModelRef,
    endpoint=st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True),
    model=st.from_regex(r"[A-Za-z0-9._/-]{1,200}", fullmatch=True),
)


@given(MESSAGES)
def test_a_message_survives_the_wire(message: Message) -> None:
    wire = message_to_proto(message).SerializeToString()

    assert message_from_proto(conversation_pb2.Message.FromString(wire)) == message


@given(TOOLS)
def test_a_tool_survives_the_wire(tool: ToolDefinition) -> None:
    assert tool_from_proto(tool_to_proto(tool)) == tool


@given(SAMPLINGS)
def test_sampling_survives_the_wire(sampling: Sampling) -> None:
    assert sampling_from_proto(sampling_to_proto(sampling)) == sampling


@given(MODELS)
def test_a_model_reference_survives_the_wire(model: ModelRef) -> None:
    assert model_ref_from_proto(model_ref_to_proto(model)) == model


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_usage_survives_the_wire(input_tokens: int, output_tokens: int) -> None:
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)

    assert usage_from_proto(usage_to_proto(usage)) == usage


def test_what_is_left_out_gets_the_documented_default() -> None:
    assert sampling_from_proto(model_pb2.Sampling()) == Sampling()
    assert model_ref_from_proto(model_pb2.ModelRef(model="m")) == ModelRef(model="m")


def test_a_role_that_is_not_given_is_named_with_its_field() -> None:
    with pytest.raises(InvalidField, match=r"messages\[2\].role: must be one of ROLE_SYSTEM"):
        message_from_proto(conversation_pb2.Message(content="hi"), field="messages[2]")


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "naïve"])
def test_a_tool_name_that_hosts_refuse_is_refused(name: str) -> None:
    with pytest.raises(InvalidField, match=r"tool\.name"):
        tool_from_proto(conversation_pb2.ToolDefinition(name=name))


@pytest.mark.parametrize("model", ["", "a b", "http://elsewhere", "m?x=1"])
def test_a_model_name_cannot_carry_an_address(model: str) -> None:
    with pytest.raises(InvalidField, match=r"model\.model"):
        model_ref_from_proto(model_pb2.ModelRef(model=model))


def test_an_endpoint_cannot_carry_an_address() -> None:
    with pytest.raises(InvalidField, match=r"model\.endpoint"):
        model_ref_from_proto(model_pb2.ModelRef(endpoint="http://elsewhere", model="m"))


@pytest.mark.parametrize("temperature", [-0.1, 2.1, float("nan"), float("inf")])
def test_a_temperature_outside_0_to_2_is_refused(temperature: float) -> None:
    with pytest.raises(InvalidField, match=r"sampling\.temperature"):
        sampling_from_proto(model_pb2.Sampling(temperature=temperature))


@pytest.mark.parametrize("tokens", [-1, 32_769])
def test_output_tokens_outside_the_range_are_refused(tokens: int) -> None:
    with pytest.raises(InvalidField, match=r"sampling\.max_output_tokens"):
        sampling_from_proto(model_pb2.Sampling(max_output_tokens=tokens))
