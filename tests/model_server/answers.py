"""What the tests' model server can answer: replies, and every fault that a model host has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.model_server.asked import Asked

Finish: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "refusal"]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call that the reply makes."""

    name: str
    arguments_json: str = "{}"
    id: str = "call-0"


@dataclass(frozen=True, slots=True)
class Reply:
    """A well-formed completion."""

    text: str = ""
    finish: Finish = "stop"
    tool_calls: tuple[ToolUse, ...] = ()
    refusal: str = ""
    reasoning: str = ""
    input_tokens: int | None = None
    """None counts the words of the prompt."""
    output_tokens: int | None = None
    """None counts the words of the text."""
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens in place of a reply."""

    kind: Literal["status", "hang", "cut", "truncated_body", "truncated_text", "body"]
    status: int = 200
    retry_after: str = ""
    text: str = ""


Answer: TypeAlias = str | Reply | Fault
Script: TypeAlias = Callable[[Asked], Answer]


def rate_limited(retry_after: str = "") -> Fault:
    """429, with Retry-After in seconds or as a date."""
    return Fault("status", 429, retry_after, "slow down")


def server_error(status: int = 500, retry_after: str = "") -> Fault:
    """500, 502, 503, 529 ..."""
    return Fault("status", status, retry_after, "something broke")


def rejected(status: int = 400, text: str = "the prompt is too long") -> Fault:
    """A status that no retry can help."""
    return Fault("status", status, "", text)


def hang() -> Fault:
    """No answer, ever; the connection stays open."""
    return Fault("hang")


def cut() -> Fault:
    """The connection breaks in the middle of the body."""
    return Fault("cut")


def truncated_body() -> Fault:
    """Status 200 with half of the completion's JSON: a malformed answer of the host."""
    return Fault("truncated_body")


def truncated_text() -> Fault:
    """A well-formed completion whose text is the first half of what it would have been."""
    return Fault("truncated_text")


def other_json() -> Fault:
    """Status 200 with JSON that is no completion."""
    return Fault("body", text='{"unexpected": [true]}')


def wrong_schema() -> Reply:
    """A well-formed completion whose text is JSON of another schema."""
    return Reply('{"unexpected": [true]}')


def empty_reply() -> Reply:
    return Reply("")


def refusal(text: str = "I cannot help with that.") -> Reply:
    """The host's own signal: OpenAI's field "refusal", Anthropic's stop reason "refusal"."""
    return Reply("", "refusal", refusal=text)


def refusal_in_words(text: str = "I'm sorry, but I can't help with that.") -> Reply:
    """A refusal that looks like any other text."""
    return Reply(text)


def content_filtered() -> Reply:
    return Reply("", "content_filter")


def cut_off(text: str = "and then the") -> Reply:
    """A reply that ran into its token limit."""
    return Reply(text, "length")
