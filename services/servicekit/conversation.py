"""Conversations: messages, tool definitions and tool calls. Knows no protobuf and no model host.

The types mirror the OpenAI-compatible chat format, so that any model host can be asked with them.
"""

from dataclasses import dataclass
from enum import StrEnum

ENVIRONMENT = "environment"
"""Name of a user message that holds what the agent observes, as against what a person asks."""


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call as the model wrote it, before any validation."""

    id: str
    """Unique in its conversation, for example "call-0"."""

    tool: str
    """Name of the tool as written by the model; it may not exist."""

    arguments_json: str
    """Arguments as a JSON object in text, as written by the model; it may not parse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """A tool that the model may call."""

    name: str
    """Letters, digits, "_" and "-", 1 to 64 characters."""

    description: str = ""
    """What the tool does, in words for the model."""

    parameters_json_schema: str = ""
    """JSON Schema of the arguments as text; empty means an object with any properties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role

    content: str
    """Text without the host's role markers or end-of-turn tokens."""

    name: str = ""
    """Tells participants of one role apart, for example ENVIRONMENT."""

    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that the assistant makes in this turn, in order."""

    tool_call_id: str = ""
    """On a tool message, the id of the call that it answers."""

    reasoning: str = ""
    """Thinking that the host returned apart from the content; never part of it."""
