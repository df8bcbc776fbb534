"""Decks: what is drawn by code, so that variety costs no model call. Knows no recipe.

The files are Markdown in services/dataset/decks. "## name" begins a part; a part is either a deck,
a list of entries that begin with "- ", or a passage of text.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import TypeVar

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.seeds import seed_of

EntryT = TypeVar("EntryT")

_DECKS = Path(__file__).parent.parent / "decks"
_BLOCK = 100
"""Items over which a share is met; a hundredth is the smallest step of a share that is exact."""


@cache
def passages(file: str) -> Mapping[str, str]:
    """Return the parts of a file as text, by name, in the order of the file."""
    _, *parts = f"\n{(_DECKS / f'{file}.md').read_text(encoding='utf-8')}".split("\n## ")
    named = (part.partition("\n") for part in parts)
    return MappingProxyType({name.strip(): text.strip() for name, _, text in named})


@cache
def deck(file: str, name: str) -> tuple[str, ...]:
    """Return the entries of a part of a file."""
    lines = passages(file)[name].splitlines()
    return tuple(line.removeprefix("- ").strip() for line in lines if line.startswith("- "))


@lru_cache(maxsize=256)  # more than all decks have passages
def flowing(passage: str) -> str:
    """Return a passage with its line breaks inside paragraphs taken out."""
    return "\n\n".join(" ".join(part.split()) for part in passage.split("\n\n"))


def draw(pen: Pen, note: str, file: str, name: str) -> str:
    """Draw an entry for an item and note it in the item's lineage."""
    return pen.draw(note, pen.rng.choice(deck(file, name)))


def drawn_names(rng: Random, count: int) -> str:
    """Draw full names, all their parts different, and join them with commas."""
    first = rng.sample(deck("people", "first-names"), count)
    family = rng.sample(deck("people", "family-names"), count)
    return ", ".join(f"{one} {other}" for one, other in zip(first, family, strict=True))


@lru_cache(maxsize=1024)  # as many as shared stages keep at hand
def sample_for(key: tuple[str, ...], file: str, name: str, count: int) -> tuple[str, ...]:
    """Draw entries that all items with a key share."""
    rng = Random(seed_of(file, name, *key))  # noqa: S311  # repeatable on purpose
    return tuple(rng.sample(deck(file, name), count))


def take_turn(entries: Sequence[EntryT], turn: int) -> tuple[EntryT, int]:
    """Take the entry whose turn it is, and the turn for whatever is chosen after it.

    Turns that are passed on from list to list walk through all combinations before any comes
    twice, and change the first list at every step.
    """
    later, place = divmod(turn, len(entries))
    return entries[place], later


def is_in_share(index: int, share: float, purpose: str) -> bool:
    """Say whether an item belongs to a share of all items.

    Of any 100 items from a multiple of 100 on, the share is met to the nearest item, and what
    is left over by rounding is made up in the following hundreds. Purposes are independent.
    """
    block, place = divmod(index, _BLOCK)
    return share > 0.0 and place in _chosen(block, share, purpose)


@lru_cache(maxsize=64)  # items in work at once lie in one block or two
def _chosen(block: int, share: float, purpose: str) -> frozenset[int]:
    places = list(range(_BLOCK))
    Random(seed_of("share", purpose, block)).shuffle(places)  # noqa: S311  # repeatable on purpose
    before, after = (round(blocks * _BLOCK * share) for blocks in (block, block + 1))
    return frozenset(places[: after - before])
