"""What is put around a finished chat and its reply never needs. Asks nobody.

The turns of the conversation stay as they are, byte by byte; a system prompt that is there already
is kept inside the new one.
"""

from dataclasses import dataclass
from random import Random

from services.dataset.example import Conversation
from services.dataset.recipes.decks import deck, is_in_share
from services.dataset.recipes.system_prompts import drawn_system_prompt
from services.dataset.recipes.unused_tools import drawn_tools
from services.dataset.spec import Augmentation
from services.servicekit.conversation import Message, Role


class NoUnusedTools(Exception):
    """Every set of unused tools is about the subject of the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is added to one chat."""

    tools: bool
    system_prompt: bool
    persona: bool

    def __bool__(self) -> bool:
        """Whether anything is added."""
        return self.tools or self.system_prompt or self.persona


NOTHING = Wanted(tools=False, system_prompt=False, persona=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressed:
    """A chat with its surroundings, and what was drawn for them."""

    conversation: Conversation
    draws: dict[str, str]


def wanted_for(index: int, shares: Augmentation) -> Wanted:
    """Say what an item gets; shares are met exactly over every hundred items, each apart."""
    if not (shares.unused_tools_share or shares.system_prompt_share or shares.persona_share):
        return NOTHING
    return Wanted(
        tools=is_in_share(index, shares.unused_tools_share, "unused-tools"),
        system_prompt=is_in_share(index, shares.system_prompt_share, "system-prompt"),
        persona=is_in_share(index, shares.persona_share, "persona"),
    )


def dressed(conversation: Conversation, wanted: Wanted, rng: Random) -> Dressed:
    """Draw what is wanted and put it around a conversation.

    Raises:
        NoUnusedTools: tools are wanted, and none are without use here.
    """
    draws: dict[str, str] = {}
    own, turns = system_and_turns(conversation)
    introduction = ""
    if wanted.persona:
        draws["persona"] = name = rng.choice(deck("personas", "names"))
        introduction = rng.choice(deck("personas", "introductions")).format(name=name)
    system = own
    if wanted.system_prompt:
        system = drawn_system_prompt(rng, own, introduction)
        draws["system_prompt"] = "kept inside a drawn one" if own else "drawn"
    elif introduction:
        system = f"{introduction}\n\n{own}".strip()
    tools = conversation.tools
    if wanted.tools:
        sets, drawn = drawn_tools(rng, "\n".join(message.content for message in turns))
        if not drawn:
            raise NoUnusedTools("every set of unused tools is about the subject of the chat")
        draws["unused_tools"] = sets
        tools = (*tools, *drawn)
    opening = (Message(role=Role.SYSTEM, content=system),) if system else ()
    return Dressed(conversation=Conversation(messages=(*opening, *turns), tools=tools), draws=draws)


def system_and_turns(conversation: Conversation) -> tuple[str, tuple[Message, ...]]:
    """Split off the system prompt; empty where there is none."""
    first, *rest = conversation.messages
    if first.role is Role.SYSTEM:
        return first.content, tuple(rest)
    return "", conversation.messages
