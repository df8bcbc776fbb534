"""Varied and complex system prompts that ask for nothing a good reply breaks. Knows no recipe."""

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from services.dataset.recipes.decks import deck, drawn_names

_DECK = "system-prompts"
_MOST_ENTRIES = 6
_SHORTEST = 0.3
"""Chance of each part in the shortest system prompts."""
_CODE_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_TITLES = {
    "audiences": ("Audience", "Who writes here", "Users"),
    "scopes": ("Scope", "What this is for", "Subjects"),
    "backgrounds": ("Background", "About the house", "Context"),
    "rules": ("House rules", "Manner", "How we do it here"),
    "metadata": ("Session", "Technical", "Metadata"),
    "justifications": ("Clearance", "Status of this deployment", "Note on use"),
    "closings": ("Remarks", "Last", "About this text"),
}
_Parts: TypeAlias = list[tuple[str, list[str]]]
"""Titled entries; before they are titled, with the names of their decks."""
_SINGLE_SHARES = {"metadata": 0.6, "justifications": 0.5, "closings": 0.3}
_REVERSED_SHARE = 0.5


def drawn_system_prompt(rng: Random, own: str = "", introduction: str = "") -> str:
    """Compose a system prompt.

    Args:
        rng: Of one item alone.
        own: The system prompt that the conversation has already; it is kept word for word, in
            the place of a drawn role.
        introduction: A sentence that gives the assistant a name; empty for none.

    Returns:
        A role, followed by some of audience, scope, background, rules, metadata and an
        unfounded permission, in a drawn order and layout.
    """
    fill = _filler(rng)
    role = own or fill(rng.choice(deck(_DECK, "roles")))
    fullness = rng.random()
    parts: _Parts = []
    for name in ("audiences", "scopes", "backgrounds", "rules"):
        if rng.random() < _SHORTEST + (1 - _SHORTEST) * fullness:
            count = rng.randint(1, 1 + round(_MOST_ENTRIES * fullness))
            entries = rng.sample(_entries(name, own), count)
            parts.append((name, [fill(entry) for entry in entries]))
    rng.shuffle(parts)
    for name, share in _SINGLE_SHARES.items():
        if rng.random() < share:
            entries = [fill(rng.choice(_entries(name, own)))]
            parts.insert(rng.randint(0, len(parts)), (name, entries))
    opening = [text for text in (introduction, role) if text]
    if rng.random() < _REVERSED_SHARE:
        opening.reverse()
    titled = [(rng.choice(_TITLES[name]), entries) for name, entries in parts]
    return rng.choice(_LAYOUTS)(opening, titled)


def _entries(name: str, own: str) -> tuple[str, ...]:
    """Return a deck; beside a system prompt that is there already, without a second house."""
    entries = deck(_DECK, name)
    return tuple(entry for entry in entries if "{org}" not in entry) if own else entries


def _filler(rng: Random) -> Callable[[str], str]:
    """Return what fills the fields of a text: one organisation and one person for all of it."""
    family = rng.choice(deck("people", "family-names"))
    org = f"{family} {rng.choice(deck(_DECK, 'organisations'))}"
    person = drawn_names(rng, 1)

    def fill(text: str) -> str:
        code = f"{rng.choice(_CODE_LETTERS)}{rng.choice(_CODE_LETTERS)}-{rng.randint(11, 9876)}"
        return text.format(org=org, person=person, code=code, number=rng.randint(12, 940))

    return fill


def _as_prose(opening: list[str], parts: _Parts) -> str:
    return "\n\n".join([" ".join(opening), *(" ".join(entries) for _, entries in parts)])


def _as_sections(opening: list[str], parts: _Parts) -> str:
    sections = (f"## {title}\n" + _bullets(entries) for title, entries in parts)
    return "\n\n".join([*opening, *sections])


def _as_tags(opening: list[str], parts: _Parts) -> str:
    tags = ((title.lower().replace(" ", "_"), entries) for title, entries in parts)
    return "\n".join(
        [
            "\n".join(opening),
            *(f"<{tag}>\n" + "\n".join(text) + f"\n</{tag}>" for tag, text in tags),
        ]
    )


def _as_numbers(opening: list[str], parts: _Parts) -> str:
    entries = [entry for _, entries in parts for entry in entries]
    numbered = "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, start=1))
    return "\n\n".join([*opening, numbered])


def _as_keys(opening: list[str], parts: _Parts) -> str:
    return "\n".join([*opening, *(f"{title.upper()}: {' '.join(text)}" for title, text in parts)])


def _as_memo(opening: list[str], parts: _Parts) -> str:
    sections = (f"{title}:\n{_bullets(entries)}" for title, entries in parts)
    return "\n\n".join([*sections, *opening])


def _as_one_block(opening: list[str], parts: _Parts) -> str:
    return " ".join([*opening, *(entry for _, entries in parts for entry in entries)])


def _bullets(entries: list[str]) -> str:
    return "\n".join(f"- {entry}" for entry in entries)


_LAYOUTS = (
    _as_prose,
    _as_sections,
    _as_tags,
    _as_numbers,
    _as_keys,
    _as_memo,
    _as_one_block,
)
