"""Hashes of word n-grams in bulk, for counting and comparing inside one audit.

Fast and unrelated to the hashes of servicekit.ngrams, which cross rooms: here a polynomial over
bytes, so that all n-grams of a text take a handful of array operations.
"""

from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.servicekit.ngrams import joined_words

MOST_BYTES = 1 << 20
"""What is read of a text; the rest of a longer one is not hashed."""

_BASE = 0x9E3779B97F4A7C15
_MODULUS = 1 << 64
_SPACE = 32


class WordBytes(NamedTuple):
    """The words of a text, joined by one space in UTF-8, and where the spaces are."""

    joined: bytes
    gaps: NDArray[np.intp]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read the words of a text."""
        joined = joined_words(text)
        return cls(joined, np.flatnonzero(np.frombuffer(joined, np.uint8) == _SPACE))

    @property
    def num_words(self) -> int:
        """How many words there are."""
        return len(self.gaps) + 1 if self.joined else 0

    def gram(self, position: int, size: int) -> str:
        """Return the n-gram at a position."""
        return b" ".join(self.joined.split(b" ")[position : position + size]).decode()


def gram_hashes(text_words: WordBytes, size: int) -> NDArray[np.uint64]:
    """Return the hashes of a text's n-grams in order; a shorter text is one n-gram."""
    letters = np.frombuffer(text_words.joined[:MOST_BYTES], np.uint8)
    gaps = text_words.gaps
    if len(text_words.joined) > MOST_BYTES:
        gaps = gaps[gaps < MOST_BYTES]
    size = min(size, len(gaps) + 1)
    starts = np.concatenate((np.zeros(1, np.intp), gaps + 1))[: len(gaps) + 2 - size]
    ends = np.concatenate((gaps, np.full(1, len(letters))))[size - 1 :]
    powers, inverses = _powers(1 << max(len(letters) - 1, 1).bit_length())
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.cumsum((letters.astype(np.uint64) + np.uint64(1)) * powers[: len(letters)], out=sums[1:])
    return _mixed((sums[ends] - sums[starts]) * inverses[starts])


@lru_cache(maxsize=4)
def _powers(length: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return _geometric(_BASE, length), _geometric(pow(_BASE, -1, _MODULUS), length)


def _geometric(base: int, length: int) -> NDArray[np.uint64]:
    factors = np.full(length + 1, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The finalizer of splitmix64: a polynomial's low bits are weak, and few bits may be kept.
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
