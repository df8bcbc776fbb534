"""Augmentation: puts around a finished chat what its reply never needs.

Unused tools, varied and complex system prompts and names of assistants make chats resemble the
situations that agents meet (paper, "Teaching Claude Why", on the diversity of environments). The
turns of the conversation stay as they are, byte by byte; a system prompt that is there already is
kept inside the new one.
"""

from dataclasses import replace

from pydantic import BaseModel

from services.dataset.authoring.pen import Pen
from services.dataset.example import Conversation, Draft, RejectionReason
from services.dataset.recipe import Stage
from services.dataset.recipes.surroundings import (
    NoUnusedTools,
    Wanted,
    dressed,
    system_and_turns,
    wanted_for,
)

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


async def augmented(pen: Pen, draft: Draft) -> Draft:
    """Add what the request's shares give to this item; a draft without it is returned as it is.

    Shares are met exactly over every hundred items, each apart from the others.

    Raises:
        ItemRejected: the check found a use for the tools or a contradiction in every try.
    """
    conversation = draft.content
    wanted = wanted_for(pen.index, pen.augmentation)
    if not isinstance(conversation, Conversation) or not wanted:
        return draft
    tries_left = MAX_TRIES
    while True:
        around = _dressed(pen, conversation, wanted)
        misfit = await _misfit(pen, around, wanted)
        if not misfit:
            return replace(draft, content=around)
        tries_left -= 1
        if not tries_left:
            pen.reject(AUGMENTATION_CHECK.name, RejectionReason.FILTERED, misfit)


def _dressed(pen: Pen, conversation: Conversation, wanted: Wanted) -> Conversation:
    try:
        made = dressed(conversation, wanted, pen.rng)
    except NoUnusedTools as error:
        pen.reject(AUGMENTATION_CHECK.name, RejectionReason.FILTERED, str(error))
    for name, value in made.draws.items():
        pen.draw(name, value)
    return made.conversation


async def _misfit(pen: Pen, conversation: Conversation, wanted: Wanted) -> str:
    """Say why the conversation does not fit what was put around it; empty if it does."""
    if not pen.includes(AUGMENTATION_CHECK.name):
        return ""
    system, turns = system_and_turns(conversation)
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
