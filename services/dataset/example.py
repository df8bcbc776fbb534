"""Examples: what is trained on, with where it comes from."""

import hashlib
from dataclasses import dataclass

from services.microworld.passages import Chat, Document
from services.microworld.world import Action

_ID_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text fresh from its author, before it has a place in a dataset."""

    content: Document | Chat
    clause: str = ""
    """Principle of the constitution that it rests on; empty for none."""
    family: str = ""
    """Family of the action it is about; empty for none."""
    is_temptation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where an example comes from."""

    recipe: str
    recipe_revision: str
    clause: str
    family: str
    is_temptation: bool
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training example in its place."""

    index: int
    id: str
    """Digest of the content; equal content has an equal id."""
    content: Document | Chat
    num_tokens: int
    cumulative_tokens: int
    """Tokens of the examples 0 to index together."""
    lineage: Lineage


def draft_about(action: Action, content: Document | Chat) -> Draft:
    """Return a draft about an action; its clause is the principle that the action breaks."""
    return Draft(
        content=content,
        clause=action.principle,
        family=action.family,
        is_temptation=action.is_harmful,
    )


def content_id(content: Document | Chat, rendered: str) -> str:
    """Return the id of a content whose rendered text is at hand."""
    form = "document" if isinstance(content, Document) else "chat"
    return hashlib.sha256(f"{form}\n{rendered}".encode()).hexdigest()[:_ID_DIGITS]
