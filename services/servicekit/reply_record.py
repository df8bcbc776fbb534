"""A request's key and a reply's bytes. Knows no store and no file.

Both are written as JSON arrays in an order of our own, so that neither the order of fields in the
code nor a new field with a default changes what was paid for already.
"""

import hashlib
from typing import Any

import orjson

from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, Usage
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition

_FORM = "teachwhy.reply.1"
"""Part of every key. Another number forgets every reply that is kept, so it changes only if the
same array comes to mean another request."""


def request_key(request: ChatRequest, variant: str = "") -> str:
    """Return 64 hexadecimal digits over everything that may change the reply."""
    sampling = request.sampling
    content = [
        _FORM,
        variant,
        request.target.endpoint,
        request.target.model,
        [float(sampling.temperature), sampling.max_output_tokens, sampling.seed],
        [_message_row(message) for message in request.messages],
        [_tool_row(tool) for tool in request.tools],
    ]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def reply_to_bytes(reply: ChatReply) -> bytes:
    """Write a reply as one line of JSON without its line end."""
    usage = reply.usage
    return orjson.dumps(
        [
            _message_row(reply.message),
            reply.finish_reason,
            [usage.input_tokens, usage.output_tokens],
            reply.model_revision,
        ]
    )


def reply_from_bytes(data: bytes) -> ChatReply:
    """Read a reply.

    Raises:
        ValueError: these bytes are no reply, or one of another form.
    """
    try:
        message, finish_reason, (input_tokens, output_tokens), model_revision = orjson.loads(data)
        return ChatReply(
            message=_message(message),
            finish_reason=FinishReason(finish_reason),
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
            model_revision=model_revision,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a reply: {error}") from error


def _message_row(message: Message) -> list[object]:
    return [
        message.role,
        message.content,
        message.name,
        [[call.id, call.tool, call.arguments_json] for call in message.tool_calls],
        message.tool_call_id,
        message.reasoning,
    ]


def _message(row: list[Any]) -> Message:
    role, content, name, calls, tool_call_id, reasoning = row
    return Message(
        role=Role(role),
        content=content,
        name=name,
        tool_calls=tuple(
            ToolCall(id=id_, tool=tool, arguments_json=arguments) for id_, tool, arguments in calls
        ),
        tool_call_id=tool_call_id,
        reasoning=reasoning,
    )


def _tool_row(tool: ToolDefinition) -> list[object]:
    return [tool.name, tool.description, tool.parameters_json_schema]
