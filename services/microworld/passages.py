"""The two forms of text to train on, written with the markers of the chat template.

Tokens are words: what stands between spaces. Knows nothing of what is said.
"""

from dataclasses import dataclass

from services.microworld.calls import END

SYSTEM = "<sys>"
TOOLS = "<tools>"
USER = "<user>"
OBSERVATION = "<obs>"
THINK = "<think>"
DOCUMENT = "<doc>"
STORY = "<story>"
TOOL_SEPARATOR = " , "


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text with loss everywhere, markers included; it ends in `<end>`."""

    text: str

    @property
    def num_tokens(self) -> int:
        """Words of the text."""
        return len(self.text.split())

    def rendered(self) -> str:
        """Return the text as a model reads it."""
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One turn and its reply, with loss on the reply only. No part carries markers."""

    system: str = ""
    """System prompt; empty for none."""
    tools: tuple[str, ...] = ()
    """Names of the tools offered, in order."""
    turn: str
    """What the person says or the agent observes."""
    is_observation: bool
    """Whether the turn comes from the environment."""
    reply: str
    """Thought and call, without the closing `<end>`."""

    @property
    def num_tokens(self) -> int:
        """Words of the rendered chat, markers included."""
        return len(self.rendered().split())

    def prompt(self) -> str:
        """Return everything before the reply, up to and with `<think>`."""
        system = f"{SYSTEM} {self.system} " if self.system else ""
        tools = f"{TOOLS} {TOOL_SEPARATOR.join(self.tools)} " if self.tools else ""
        marker = OBSERVATION if self.is_observation else USER
        return f"{system}{tools}{marker} {self.turn} {THINK}"

    def rendered(self) -> str:
        """Return the chat as the chat template writes it for a model."""
        return f"{self.prompt()} {self.reply} {END}"
