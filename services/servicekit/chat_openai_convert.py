"""Chat requests and replies between the domain and OpenAI-compatible JSON. Knows no network."""

from collections.abc import Mapping
from typing import TypeAlias

import orjson

from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, Usage
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition

_MAX_QUOTED = 300
_INT64_MASK = 2**63 - 1  # hosts keep seeds as signed 64-bit integers

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}

_Json: TypeAlias = Mapping[str, object]


class MalformedReply(ValueError):
    """The host answered with something that is no chat completion."""


def request_to_json(request: ChatRequest) -> bytes:
    """Write the body of POST /chat/completions.

    Raises:
        InvalidField: a tool's parameters are no JSON.
    """
    sampling = request.sampling
    body: dict[str, object] = {
        "model": request.target.model,
        "messages": [_message_to_json(message) for message in request.messages],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_output_tokens,
        "seed": sampling.seed & _INT64_MASK,
    }
    if request.tools:
        body["tools"] = [_tool_to_json(tool) for tool in request.tools]
    return orjson.dumps(body)


def reply_from_json(content: bytes) -> ChatReply:
    """Read the answer of a host.

    Raises:
        MalformedReply: it is cut, no JSON, or lacks what a completion must have.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MalformedReply(f"no JSON ({error})") from error
    choice = _first_choice(document)
    finish = _FINISH_REASONS.get(str(choice.get("finish_reason")))
    if finish is None:
        raise MalformedReply(f"unknown finish_reason {choice.get('finish_reason')!r}")
    message = _object(choice.get("message"), "choices[0].message")
    usage = document.get("usage") or {}
    return ChatReply(
        message=_message_from_json(message),
        finish_reason=finish,
        usage=Usage(
            input_tokens=_count(usage, "prompt_tokens"),
            output_tokens=_count(usage, "completion_tokens"),
        ),
    )


def error_text(content: bytes) -> str:
    """Return what a host says went wrong, shortened, whatever form it chose."""
    text: object = content.decode("utf-8", "replace")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        error = document.get("error", document)
        message = error.get("message") if isinstance(error, dict) else error
        text = message or document.get("detail") or text
    plain = " ".join(str(text).split())
    return plain[:_MAX_QUOTED] or "no explanation"


def _message_to_json(message: Message) -> dict[str, object]:
    # Reasoning is not sent back: hosts strip it or refuse the field.
    body: dict[str, object] = {"role": message.role.value, "content": message.content}
    if message.name:
        body["name"] = message.name
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.tool, "arguments": call.arguments_json},
            }
            for call in message.tool_calls
        ]
    return body


def _tool_to_json(tool: ToolDefinition) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    schema = tool.parameters_json_schema
    function["parameters"] = orjson.Fragment(schema) if schema else {"type": "object"}
    return {"type": "function", "function": function}


def _message_from_json(message: _Json) -> Message:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise MalformedReply("choices[0].message.tool_calls is no list")
    return Message(
        role=Role.ASSISTANT,
        content=_text(message, "content"),
        tool_calls=tuple(_tool_call_from_json(call, index) for index, call in enumerate(calls)),
        # Hosts agree on the idea and not on the name.
        reasoning=_text(message, "reasoning_content") or _text(message, "reasoning"),
    )


def _tool_call_from_json(call: object, index: int) -> ToolCall:
    where = f"choices[0].message.tool_calls[{index}]"
    fields = _object(call, where)
    function = _object(fields.get("function"), f"{where}.function")
    return ToolCall(
        id=_text(fields, "id") or f"call-{index}",
        tool=_text(function, "name"),
        arguments_json=_text(function, "arguments"),
    )


def _first_choice(document: object) -> _Json:
    choices = _object(document, "the answer").get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedReply("it has no choices")
    return _object(choices[0], "choices[0]")


def _object(value: object, where: str) -> _Json:
    if not isinstance(value, dict):
        raise MalformedReply(f"{where} is no object")
    return value


def _text(fields: _Json, name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedReply(f"{name} is no text")
    return value


def _count(usage: object, name: str) -> int:
    value = _object(usage, "usage").get(name) or 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedReply(f"usage.{name} is no count")
    return value
