"""Conversations, tools, sampling, usage and model references between protobuf and domain."""

import re

from teachwhy.common.v1 import conversation_pb2, model_pb2

from services.servicekit.chat import ModelRef, Sampling, Usage
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition
from services.servicekit.errors import InvalidField

DEFAULT_ENDPOINT = "default"
DEFAULT_MAX_OUTPUT_TOKENS = 256
MAX_OUTPUT_TOKENS = 32_768
MAX_TEMPERATURE = 2.0

_ROLE_TO_PROTO = {
    Role.SYSTEM: conversation_pb2.ROLE_SYSTEM,
    Role.USER: conversation_pb2.ROLE_USER,
    Role.ASSISTANT: conversation_pb2.ROLE_ASSISTANT,
    Role.TOOL: conversation_pb2.ROLE_TOOL,
}
_ROLE_FROM_PROTO = {number: role for role, number in _ROLE_TO_PROTO.items()}
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ENDPOINT = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)
_MODEL = re.compile(r"[A-Za-z0-9._/-]{1,200}", re.ASCII)


def message_to_proto(message: Message) -> conversation_pb2.Message:
    """Write a message."""
    written = conversation_pb2.Message()
    write_message(message, written)
    return written


def write_message(message: Message, to: conversation_pb2.Message) -> None:
    """Write a message to where it lies in its parent, which saves a copy of it."""
    to.role = _ROLE_TO_PROTO[message.role]
    to.content = message.content
    if message.name:
        to.name = message.name
    for call in message.tool_calls:
        to.tool_calls.add(id=call.id, tool=call.tool, arguments_json=call.arguments_json)
    if message.tool_call_id:
        to.tool_call_id = message.tool_call_id
    if message.reasoning:
        to.reasoning = message.reasoning


def message_from_proto(message: conversation_pb2.Message, *, field: str = "message") -> Message:
    """Read a message; `field` is its path in the request.

    Raises:
        InvalidField: the role is unspecified or unknown.
    """
    role = _ROLE_FROM_PROTO.get(message.role)
    if role is None:
        names = ", ".join(map(conversation_pb2.Role.Name, _ROLE_FROM_PROTO))
        raise InvalidField.at(f"{field}.role", f"must be one of {names}, got {message.role}")
    return Message(
        role=role,
        content=message.content,
        name=message.name,
        tool_calls=tuple(
            ToolCall(id=call.id, tool=call.tool, arguments_json=call.arguments_json)
            for call in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
        reasoning=message.reasoning,
    )


def tool_to_proto(tool: ToolDefinition) -> conversation_pb2.ToolDefinition:
    """Write a tool definition."""
    return conversation_pb2.ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=tool.parameters_json_schema,
    )


def tool_from_proto(
    tool: conversation_pb2.ToolDefinition, *, field: str = "tool"
) -> ToolDefinition:
    """Read a tool definition; `field` is its path in the request.

    Raises:
        InvalidField: the name is not 1 to 64 letters, digits, "_" and "-".
    """
    if not _TOOL_NAME.fullmatch(tool.name):
        raise InvalidField.at(
            f"{field}.name", f'must be 1 to 64 letters, digits, "_" or "-", got {tool.name!r}'
        )
    return ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=tool.parameters_json_schema,
    )


def model_ref_to_proto(model: ModelRef) -> model_pb2.ModelRef:
    """Write a model reference."""
    return model_pb2.ModelRef(endpoint=model.endpoint, model=model.model)


def model_ref_from_proto(model: model_pb2.ModelRef, *, field: str = "model") -> ModelRef:
    """Read a model reference; an empty endpoint becomes "default".

    Raises:
        InvalidField: a name that no endpoint or host could have.
    """
    endpoint = model.endpoint or DEFAULT_ENDPOINT
    if not _ENDPOINT.fullmatch(endpoint):
        raise InvalidField.at(
            f"{field}.endpoint",
            f'must be at most 63 lower-case letters, digits or "-", got {endpoint!r}',
        )
    if not _MODEL.fullmatch(model.model):
        raise InvalidField.at(
            f"{field}.model", f'must be 1 to 200 letters, digits or "._-/", got {model.model!r}'
        )
    return ModelRef(endpoint=endpoint, model=model.model)


def sampling_to_proto(sampling: Sampling) -> model_pb2.Sampling:
    """Write how replies are drawn."""
    return model_pb2.Sampling(
        temperature=sampling.temperature,
        max_output_tokens=sampling.max_output_tokens,
        seed=sampling.seed,
    )


def sampling_from_proto(sampling: model_pb2.Sampling, *, field: str = "sampling") -> Sampling:
    """Read how replies are drawn; zero output tokens become 256.

    Raises:
        InvalidField: a temperature outside 0 to 2, or output tokens outside 1 to 32768.
    """
    if not 0.0 <= sampling.temperature <= MAX_TEMPERATURE:
        raise InvalidField.at(
            f"{field}.temperature", f"must be 0 to 2, got {sampling.temperature:g}"
        )
    if not 0 <= sampling.max_output_tokens <= MAX_OUTPUT_TOKENS:
        raise InvalidField.at(
            f"{field}.max_output_tokens",
            f"must be 1 to {MAX_OUTPUT_TOKENS}, or 0 for {DEFAULT_MAX_OUTPUT_TOKENS}, "
            f"got {sampling.max_output_tokens}",
        )
    return Sampling(
        temperature=sampling.temperature,
        max_output_tokens=sampling.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS,
        seed=sampling.seed,
    )


def usage_to_proto(usage: Usage) -> model_pb2.Usage:
    """Write token counts."""
    return model_pb2.Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def usage_from_proto(usage: model_pb2.Usage) -> Usage:
    """Read token counts."""
    return Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
