"""Examples: what is trained on, with where it comes from. Knows no author."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from services.servicekit.chat import ModelRef, Usage
from services.servicekit.conversation import Message, ToolDefinition

MAX_DETAIL_CHARACTERS = 500

_ID_DIGITS = 32
# Separate what is hashed; no text of a model or a file holds them by accident.
_FIELD, _PART = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text with next-token loss everywhere."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation with loss on the assistant's tokens; the last message is the assistant's."""

    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    """What the conversation offers, used or not."""


Content: TypeAlias = Text | Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a recipe wrote, before it has a place in a dataset."""

    content: Content
    clause: str = ""
    """Id of the clause of the constitution that it rests on; empty for none."""
    family: str = ""
    """Scenario family it is about; empty for none."""
    is_temptation: bool = False
    """Whether it is about a harmful action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """One reply that an example was made from."""

    stage: str
    prompt_version: str
    """"NUMBER-DIGEST" of the prompt; empty without one."""
    model: ModelRef
    model_revision: str
    """What the host said that answered."""
    reply_key: str
    """Key in the reply cache, 64 hex digits."""
    text_digest: str
    """SHA-256 of the reply's text, 64 hex digits."""
    usage: Usage
    cost_usd: float
    """US dollars at the settings' prices; 0 without a price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where an example comes from."""

    recipe: str
    recipe_revision: str
    clause: str = ""
    family: str = ""
    is_temptation: bool = False
    author: str
    constitution_digest: str = ""
    """64 hex digits; empty where there is no constitution."""
    draws: Mapping[str, str] = field(default_factory=dict)
    """What the recipe drew, by name."""
    stages: tuple[StageRecord, ...] = ()
    cost_usd: float = 0.0
    """US dollars of its own replies; shared ones are not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training example in its place."""

    index: int
    id: str
    """Digest of the content; equal content has an equal id."""
    content: Content
    num_tokens: int
    """1 or more."""
    cumulative_tokens: int
    """Tokens of the examples among the items 0 to index together."""
    lineage: Lineage


class RejectionReason(Enum):
    """Why an item is no example."""

    REFUSAL = auto()
    """The model declined to write it."""
    EMPTY = auto()
    """The reply was empty."""
    TRUNCATED = auto()
    """The reply was cut off by its token limit."""
    CONTENT_FILTERED = auto()
    """The host's content filter held the reply back."""
    MALFORMED = auto()
    """The reply had not the form that the stage asks for, in all tries."""
    SCAFFOLD_LEAK = auto()
    """The text shows the scaffolding it was written with."""
    FILTERED = auto()
    """A filter stage turned it down."""
    HOST_FAILED = auto()
    """The host refused the request or failed on it, while it answered others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An item that became no example."""

    index: int
    stage: str
    """Stage that ended it."""
    reason: RejectionReason
    detail: str
    """One sentence for people, at most MAX_DETAIL_CHARACTERS."""
    lineage: Lineage


Item: TypeAlias = Example | Rejection


class ItemRejected(Exception):
    """An item ends here as a rejection; recipes raise it through Pen.reject."""

    def __init__(self, stage: str, reason: RejectionReason, detail: str) -> None:
        """Name the stage and say why."""
        super().__init__(f"{stage}: {reason.name}: {detail}")
        self.stage = stage
        self.reason = reason
        self.detail = detail[:MAX_DETAIL_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageText:
    """What one stage asked and got."""

    record: StageRecord
    prompt: tuple[Message, ...]
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedItem:
    """An item with all that led to it."""

    item: Item
    stages: tuple[StageText, ...] = ()


def text_id(rendered: str, *, is_document: bool) -> str:
    """Return the id of a content by the one text that it is rendered as."""
    form = "document" if is_document else "chat"
    return hashlib.sha256(f"{form}\n{rendered}".encode()).hexdigest()[:_ID_DIGITS]


def content_id(content: Content) -> str:
    """Return the id of a content: a digest of all that a trainer sees of it."""
    if isinstance(content, Text):
        return text_id(content.text, is_document=True)
    turns = (
        _FIELD.join((m.role, m.name, m.content, m.tool_call_id, *_calls(m)))
        for m in content.messages
    )
    tools = (
        _FIELD.join((tool.name, tool.description, tool.parameters_json_schema))
        for tool in content.tools
    )
    return text_id(_PART.join((*turns, "", *tools)), is_document=False)


def _calls(message: Message) -> tuple[str, ...]:
    return tuple(
        _FIELD.join((call.id, call.tool, call.arguments_json)) for call in message.tool_calls
    )
