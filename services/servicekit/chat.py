"""The port to a chat model. Knows no protocol, no host and no retry."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from services.servicekit.conversation import Message, ToolDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How replies are drawn."""

    temperature: float = 0.0
    """Softmax temperature, 0 (greedy) to 2."""

    max_output_tokens: int = 256
    """Most tokens in one reply, 1 to 32768."""

    seed: int = 0
    """Seed of the draws; a host that honours it repeats its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A model behind an endpoint that the settings name."""

    endpoint: str = "default"
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the model host counted them."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A conversation that waits for the assistant's next turn."""

    target: ModelRef
    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)


class FinishReason(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    """The host's filter withheld the text or a part of it."""

    REFUSAL = "refusal"
    """The model declined, by the host's own signal; a refusal in plain words is a STOP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """The assistant's next turn."""

    message: Message
    finish_reason: FinishReason
    usage: Usage

    model_revision: str = ""
    """What the host says it answered with: model, provider and system fingerprint, as far as it
    tells them, separated by spaces."""


class ChatModel(Protocol):
    """Anything that can take the assistant's turn."""

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Return the next turn.

        Raises:
            ModelUnavailable: the host did not answer; repeating the request is safe.
            ModelRejectedRequest: the host refused the request; repeating it will not help.
            ResourceNotFound: the settings name no such endpoint.
        """
        ...
