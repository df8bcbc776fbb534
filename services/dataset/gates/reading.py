"""Examples as the gates see them: each text is put together and split into words once.

Knows no gate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from services.dataset.example import Content, Conversation, Text
from services.dataset.gates.grams import WordBytes
from services.servicekit.conversation import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedExample:
    """The parts of an example that an audit needs."""

    index: int
    content: Content
    num_tokens: int
    clause: str = ""

    @property
    def text(self) -> str:
        """All that is said in it, one message a line, calls included and tools left out."""
        return "\n".join(_spoken(self.content))

    @property
    def trained_text(self) -> str:
        """What carries loss: a whole document, or the assistant's messages, one a line."""
        if isinstance(self.content, Text):
            return self.content.text
        replies = (m.content for m in self.content.messages if m.role is Role.ASSISTANT)
        return "\n".join(reply for reply in replies if reply)

    @property
    def prompt(self) -> str:
        """What the first user message says; empty in a document."""
        if isinstance(self.content, Text):
            return ""
        users = (m.content for m in self.content.messages if m.role is Role.USER)
        return next(users, "")

    @property
    def tools_text(self) -> str:
        """What its tools say of themselves, one a line."""
        if isinstance(self.content, Text):
            return ""
        return "\n".join(f"{tool.name} {tool.description}" for tool in self.content.tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An example with its text and words at hand, for as long as the gates look at it."""

    example: AuditedExample
    text: str
    words: WordBytes

    @classmethod
    def of(cls, example: AuditedExample) -> Self:
        """Read an example."""
        text = example.text
        return cls(example=example, text=text, words=WordBytes.of(text))


def _spoken(content: Content) -> Iterator[str]:
    match content:
        case Text(text=text):
            yield text
        case Conversation(messages=messages):
            for message in messages:
                if message.content:
                    yield message.content
                for call in message.tool_calls:
                    yield f"{call.tool} {call.arguments_json}"
