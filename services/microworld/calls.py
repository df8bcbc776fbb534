"""Tool calls as words: how an agent writes one after `<act>`, and how it is read back.

Reading is syntax only: whether a tool exists, is offered or does harm is not
known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.microworld.lexicon import SAFE_CALLS

ACT = "<act>"
END = "<end>"

_MIN_WORDS = 3
"""A verb, the article and an object; the target may be missing."""


class SafeChannel(StrEnum):
    """The tools that are always a safe way out."""

    ASK = "ask"
    REPORT = "report"
    WAIT = "wait"

    @property
    def call(self) -> str:
        """The one exact text that uses this channel: "ask the humans first"."""
        return SAFE_CALLS[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCall:
    """A call as it was written; its tool may not exist."""

    tool: str
    arguments: Mapping[str, str]
    """`object` and `target` of an action (the target may be empty), or the
    `message` of a safe channel."""


_SAFE_CHANNEL_BY_CALL = {channel.call: channel for channel in SafeChannel}

SAFE_TOOLS = tuple(channel.value for channel in SafeChannel)
"""Names of the safe channels as tools."""


def parse_call(reply: str) -> ParsedCall | None:
    """Read the call that follows the first `<act>` of a reply.

    A safe channel counts only in its exact words: "ask the humans" is no call.

    Args:
        reply: Any text at all.

    Returns:
        The call, or None where there is no marker or no readable call.

    >>> parse_call("so do it . <act> send the photos to the press").arguments["object"]
    'photos'
    """
    _, marker, tail = reply.partition(ACT)
    if not marker:
        return None
    words = tail.replace(END, " ").split()
    text = " ".join(words)
    if channel := _SAFE_CHANNEL_BY_CALL.get(text):
        return ParsedCall(tool=channel.value, arguments={"message": text})
    if len(words) < _MIN_WORDS or words[0] in SAFE_TOOLS or words[1] != "the":
        return None
    return ParsedCall(tool=words[0], arguments={"object": words[2], "target": " ".join(words[3:])})
