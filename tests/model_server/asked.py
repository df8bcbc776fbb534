"""What the tests' model server was asked, the same for both protocols."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Protocol = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came in."""

    number: int
    """How many requests the server had seen before this one."""

    attempt: int
    """How many requests with the same body it had seen before this one."""

    protocol: Protocol
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    digest: str
    """SHA-256 of the body, in hex; equal for equal requests."""

    system: str
    """Text of the system messages."""

    turns: tuple[tuple[str, str], ...]
    """Role and text of the other messages."""

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def prompt(self) -> str:
        """All the text that the model sees."""
        return "\n\n".join(filter(None, [self.system, *(text for _, text in self.turns)]))

    @property
    def last(self) -> str:
        """Text of the last message."""
        return self.turns[-1][1] if self.turns else ""

    @property
    def tools(self) -> tuple[str, ...]:
        return tuple(
            str(tool.get("name") or tool["function"]["name"]) for tool in self.body.get("tools", ())
        )


def read_asked(
    content: bytes, headers: Mapping[str, str], protocol: Protocol, number: int, attempt_of: Any
) -> Asked:
    """Read a request; `attempt_of` maps a digest to how often it was seen."""
    body = orjson.loads(content)
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    turns = [(str(each["role"]), text_of(each.get("content"))) for each in body["messages"]]
    system = [text_of(body.get("system"))] + [text for role, text in turns if role == "system"]
    return Asked(
        number=number,
        attempt=attempt_of(digest),
        protocol=protocol,
        body=body,
        headers={name.lower(): value for name, value in headers.items()},
        digest=digest,
        system="\n\n".join(text for text in system if text),
        turns=tuple((role, text) for role, text in turns if role != "system"),
    )


def text_of(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    """Return the text of a message's content, plain or in blocks."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = (each.get("text") or text_of(each.get("content")) for each in content)
    return "\n".join(part for part in parts if part)
