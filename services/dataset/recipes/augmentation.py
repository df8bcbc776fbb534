"""Augmentation: puts around a finished chat what its reply never needs.

Unused tools, varied and complex system prompts and names of assistants make chats resemble the
situations that agents meet (paper, "Teaching Claude Why", on the diversity of environments). The
turns of the conversation stay as they are, byte by byte; a system prompt that is there already is
kept inside the new one.
"""

from dataclasses import dataclass, replace

from pydantic import BaseModel

from services.dataset.authoring.pen import Pen
from services.dataset.example import Conversation, Draft, RejectionReason
from services.dataset.recipe import Stage
from services.dataset.recipes.decks import deck, is_in_share
from services.dataset.recipes.system_prompts import drawn_system_prompt
from services.dataset.recipes.unused_tools import drawn_tools
from services.servicekit.conversation import Message, Role

MAX_TRIES = 2
"""Different surroundings that a chat is tried in before it is given up."""

AUGMENTATION_CHECK = Stage(
    name="augmentation-check",
    title="Check that no tool is needed and no fair instruction broken, where any was added",
    is_optional=True,
)


class Fit(BaseModel):
    """Reply of stage "augmentation-check"."""

    tool_needed: bool
    contradicts: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is added to one chat."""

    tools: bool
    system_prompt: bool
    persona: bool


async def augmented(pen: Pen, draft: Draft) -> Draft:
    """Add what the request's shares give to this item; a draft without it is returned as it is.

    Shares are met exactly over every hundred items, each apart from the others.

    Raises:
        ItemRejected: the check found a use for the tools or a contradiction in every try.
    """
    conversation = draft.content
    wanted = _wanted(pen)
    if not isinstance(conversation, Conversation) or not _is_any(wanted):
        return draft
    tries_left = MAX_TRIES
    while True:
        dressed = _dressed(pen, conversation, wanted)
        misfit = await _misfit(pen, dressed, wanted)
        if not misfit:
            return replace(draft, content=dressed)
        tries_left -= 1
        if not tries_left:
            pen.reject(AUGMENTATION_CHECK.name, RejectionReason.FILTERED, misfit)


def _wanted(pen: Pen) -> _Wanted:
    shares = pen.augmentation
    return _Wanted(
        tools=is_in_share(pen.index, shares.unused_tools_share, "unused-tools"),
        system_prompt=is_in_share(pen.index, shares.system_prompt_share, "system-prompt"),
        persona=is_in_share(pen.index, shares.persona_share, "persona"),
    )


def _is_any(wanted: _Wanted) -> bool:
    return wanted.tools or wanted.system_prompt or wanted.persona


def _dressed(pen: Pen, conversation: Conversation, wanted: _Wanted) -> Conversation:
    rng = pen.rng
    own, turns = _system_and_turns(conversation)
    introduction = ""
    if wanted.persona:
        name = pen.draw("persona", rng.choice(deck("personas", "names")))
        introduction = rng.choice(deck("personas", "introductions")).format(name=name)
    system = own
    if wanted.system_prompt:
        system = drawn_system_prompt(rng, own, introduction)
        pen.draw("system_prompt", "kept inside a drawn one" if own else "drawn")
    elif introduction:
        system = f"{introduction}\n\n{own}".strip()
    tools = conversation.tools
    if wanted.tools:
        sets, drawn = drawn_tools(rng, "\n".join(message.content for message in turns))
        if not drawn:
            pen.reject(
                AUGMENTATION_CHECK.name,
                RejectionReason.FILTERED,
                "every set of unused tools is about the subject of the conversation",
            )
        pen.draw("unused_tools", sets)
        tools = (*tools, *drawn)
    opening = (Message(role=Role.SYSTEM, content=system),) if system else ()
    return Conversation(messages=(*opening, *turns), tools=tools)


def _system_and_turns(conversation: Conversation) -> tuple[str, tuple[Message, ...]]:
    first, *rest = conversation.messages
    if first.role is Role.SYSTEM:
        return first.content, tuple(rest)
    return "", conversation.messages


async def _misfit(pen: Pen, conversation: Conversation, wanted: _Wanted) -> str:
    """Say why the conversation does not fit what was put around it; empty if it does."""
    if not pen.includes(AUGMENTATION_CHECK.name):
        return ""
    system, turns = _system_and_turns(conversation)
    fit = await pen.structured(
        AUGMENTATION_CHECK.name, Fit, system=system, turns=turns,
        tools=conversation.tools if wanted.tools else (),
        is_prompted=wanted.system_prompt or wanted.persona,
    )  # fmt: skip
    if fit.tool_needed:
        return f"an unused tool would have been needed: {fit.why}"
    if fit.contradicts:
        return f"the reply breaks its system prompt: {fit.why}"
    return ""
