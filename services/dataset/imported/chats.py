"""Reads one row as a chat: OpenAI's "messages", or the "conversations" of ShareGPT and its kin."""

import json
from collections.abc import Mapping, Sequence

from services.dataset.example import Conversation
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "bing": Role.ASSISTANT,
    "bard": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
    "observation": Role.TOOL,
}
_LISTS = ("messages", "conversations", "conversation")


class MalformedRow(ValueError):
    """A row is no chat; the message names the field and what is allowed."""


def chat_of(row: object) -> Conversation:
    """Read a row.

    Raises:
        MalformedRow: the row is no chat that ends with the assistant's turn.
    """
    if not isinstance(row, Mapping):
        raise MalformedRow("a row must be an object")
    name = next((name for name in _LISTS if row.get(name) is not None), None)
    if name is None:
        raise MalformedRow(f"must have one of {', '.join(_LISTS)}")
    turns = _sequence(row[name], name)
    messages = tuple(_message(turn, f"{name}[{number}]") for number, turn in enumerate(turns))
    system = row.get("system")
    if isinstance(system, str) and system.strip() and messages[:1] and not _opens(messages):
        messages = (Message(role=Role.SYSTEM, content=system), *messages)
    _check(messages, name)
    return Conversation(messages=messages, tools=_tools(row.get("tools")))


def _check(messages: Sequence[Message], name: str) -> None:
    if not any(message.role is Role.USER for message in messages):
        raise MalformedRow(f"{name}: must have a turn of the user")
    last = messages[-1]
    if last.role is not Role.ASSISTANT:
        raise MalformedRow(f"{name}: must end with the assistant's turn, not the {last.role}'s")
    if not last.content.strip():
        raise MalformedRow(f"{name}: the assistant's last turn is empty")
    if any(message.role is Role.SYSTEM for message in messages[1:]):
        raise MalformedRow(f"{name}: a system prompt must come first")


def _opens(messages: Sequence[Message]) -> bool:
    return messages[0].role is Role.SYSTEM


def _message(turn: object, field: str) -> Message:
    if not isinstance(turn, Mapping):
        raise MalformedRow(f"{field}: must be an object")
    said_by = turn.get("role", turn.get("from"))
    role = _ROLES.get(said_by) if isinstance(said_by, str) else None
    if role is None:
        raise MalformedRow(f"{field}: must be said by one of {', '.join(_ROLES)}, not {said_by!r}")
    calls = _tool_calls(turn.get("tool_calls"), f"{field}.tool_calls")
    content = _text(turn.get("content", turn.get("value")), field, may_lack=bool(calls))
    return Message(
        role=role,
        content=content,
        name=_optional(turn.get("name"), f"{field}.name"),
        tool_calls=calls,
        tool_call_id=_optional(turn.get("tool_call_id"), f"{field}.tool_call_id"),
    )


def _text(content: object, field: str, *, may_lack: bool) -> str:
    if content is None and may_lack:
        return ""
    if isinstance(content, str):
        return _utf8(content, field)
    if isinstance(content, Sequence):  # parts, of which only text can be trained on here
        texts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        if all(isinstance(text, str) for text in texts):
            return _utf8("".join(map(str, texts)), field)
    raise MalformedRow(f"{field}: its content must be text")


def _tool_calls(calls: object, field: str) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    found = []
    for number, call in enumerate(_sequence(calls, field)):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(call, Mapping) or not isinstance(function, Mapping):
            raise MalformedRow(f"{field}[{number}]: must be an object with a function")
        name, arguments = function.get("name"), function.get("arguments", "{}")
        if not isinstance(name, str):
            raise MalformedRow(f"{field}[{number}]: its function must have a name")
        found.append(
            ToolCall(
                id=_optional(call.get("id"), f"{field}[{number}].id") or f"call-{number}",
                tool=name,
                arguments_json=arguments if isinstance(arguments, str) else json.dumps(arguments),
            )
        )
    return tuple(found)


def _tools(tools: object) -> tuple[ToolDefinition, ...]:
    """Read OpenAI's tool definitions, as a list or as JSON in a text column."""
    if isinstance(tools, str) and tools.strip():
        try:
            tools = json.loads(tools)
        except ValueError:
            raise MalformedRow("tools: must be a list of tool definitions") from None
    if not tools:
        return ()
    found = []
    for number, tool in enumerate(_sequence(tools, "tools")):
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise MalformedRow(f"tools[{number}]: must be a function with a name")
        schema = function.get("parameters")
        found.append(
            ToolDefinition(
                name=function["name"],
                description=_optional(function.get("description"), f"tools[{number}].description"),
                parameters_json_schema=json.dumps(schema) if schema else "",
            )
        )
    return tuple(found)


def _sequence(value: object, field: str) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return value
    raise MalformedRow(f"{field}: must be a list that is not empty")


def _optional(value: object, field: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _utf8(value, field)
    raise MalformedRow(f"{field}: must be text")


def _utf8(text: str, field: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedRow(f"{field}: holds half a surrogate pair, which is no text") from None
    return text
