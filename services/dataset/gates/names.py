"""Personal names in texts, by a heuristic. Knows no example.

A word counts as a personal name when it is written with a capital inside sentences, is hardly
ever written without one, and somewhere in the texts stands where names of people stand: after a
title ("Dr. Okafor"), after words like "named" or "my colleague", before a verb of speech ("Elena
said"), or beside another such word ("Marcus Chen"), where either of the two is already one.
Months, weekdays, places that come up often and the names of AIs are none. It misses names in
scripts without capitals; it is meant to find names that come up again and again.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOKEN = re.compile(r"[^\W\d_]+(?:[-'\u2019][^\W\d_]+)*|[.!?:\n\"\u201c\u201d*#>|]")
_TITLES = _listed("mr mrs ms mx dr prof professor doctor sir madam dear hi hello")
_INTRODUCERS = _listed(
    "named called colleague manager boss friend sister brother wife husband partner daughter son "
    "mother father aunt uncle nurse captain officer engineer teacher neighbor neighbour cousin "
    "supervisor director ceo"
)
_SPEECH = _listed(
    "said says asked asks replied replies answered whispered nodded smiled sighed frowned laughed "
    "paused shrugged looked leaned stared wrote told thought"
)
_NO_NAMES = _listed(
    "i i'm i've i'll i'd january february march april may june july august september october "
    "november december monday tuesday wednesday thursday friday saturday sunday claude gpt chatgpt "
    "gemini ai anthropic openai google english french german spanish chinese american european "
    "america europe london paris mr mrs ms dr prof professor sir"
)
_MOST_LOWER_CASE = 0.05
"""Share of its occurrences at most that a name has in lower case."""


class Names(NamedTuple):
    """Which names there are and in how many texts each stands."""

    num_texts: int
    texts_by_name: Counter[str]


class _Clues:
    """What all texts together say of each capitalised word."""

    def __init__(self) -> None:
        self.inside: Counter[str] = Counter()
        self.lower: Counter[str] = Counter()
        self.cued: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()


def personal_names(texts: Iterable[str]) -> Names:
    """Count the texts that hold each personal name."""
    clues = _Clues()
    capitalised: list[set[str]] = []
    for text in texts:
        tokens = _TOKEN.findall(text)
        capitalised.append(_read(tokens, clues))
    names = _names(clues)
    return Names(
        num_texts=len(capitalised),
        texts_by_name=Counter(word for held in capitalised for word in held if word in names),
    )


def _read(tokens: Sequence[str], clues: _Clues) -> set[str]:
    """Add a text's clues; return its capitalised words."""
    held: set[str] = set()
    before, before_is_end = "", True
    for found in tokens:
        word = found.removesuffix("'s").removesuffix("\u2019s")
        is_word = word[0].isalpha()
        if is_word and word[0].isupper() and not word.isupper() and word.lower() not in _NO_NAMES:
            held.add(word)
            if not before_is_end or before.lower() in _TITLES:
                clues.inside[word] += 1
                if before.lower() in _TITLES or before.lower() in _INTRODUCERS:
                    clues.cued.add(word)
                elif before[:1].isupper():
                    clues.pairs.add((before, word))
        elif is_word:
            clues.lower[word] += 1
            if word in _SPEECH and before[:1].isupper():
                clues.cued.add(before)
        # "Dr." ends no sentence.
        before_is_end = not is_word and not (found == "." and before.lower() in _TITLES)
        if is_word or before_is_end:
            before = word if is_word else ""
    return held


def _names(clues: _Clues) -> set[str]:
    candidates = {
        word
        for word, count in clues.inside.items()
        if clues.lower[word.lower()] <= _MOST_LOWER_CASE * (count + clues.lower[word.lower()])
    }
    names = candidates & clues.cued
    for first, second in sorted(clues.pairs):
        if {first, second} <= candidates and (first in names or second in names):
            names |= {first, second}
    return names
