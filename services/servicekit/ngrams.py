"""Words and hashed n-grams of texts, the same in every room. Knows no scenario and no example."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate, count
from operator import add

HASH_BYTES = 8

_GAP = re.compile(r"[\W_]+")
# What _GAP leaves of ASCII, as a table: several times as fast, and most text is ASCII.
_ASCII_WORDS = "".join(chr(i).lower() if chr(i).isalnum() else " " for i in range(128))
# Gaps that much English text has besides, so that it is read as ASCII too.
_TYPOGRAPHIC_MARKS = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00a0"


def words(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits in lower case, accents kept.

    Text is composed first (Unicode NFC), so that the two ways to write an accent are one word.
    """
    for mark in _TYPOGRAPHIC_MARKS:
        text = text.replace(mark, " ")
    if text.isascii():
        return text.translate(_ASCII_WORDS).split()
    composed = unicodedata.normalize("NFC", text)
    return _GAP.sub(" ", unicodedata.normalize("NFC", composed.lower())).split()


def joined_words(text: str) -> bytes:
    """Return the words of a text joined by one space, in UTF-8."""
    return " ".join(words(text)).encode()


def ngram_digests(joined: bytes, size: int, *, gaps: Sequence[int] | None = None) -> list[bytes]:
    """Return BLAKE2b of every n-gram of `size` words in order, 8 bytes each.

    An n-gram is hashed as its words joined by one space, in UTF-8. A text of fewer words has none.

    Args:
        joined: What `joined_words` returns.
        size: Words of an n-gram, 1 or more.
        gaps: Positions of the spaces in `joined`, where the caller knows them.
    """
    if size < 1:
        raise ValueError(f"an n-gram has 1 word or more, got {size}")
    # The byte before the first word, those between words, and the one after the last.
    bounds = [-1, *(_gaps(joined) if gaps is None else gaps), len(joined)] if joined else []
    empty = blake2b(digest_size=HASH_BYTES)
    digests = []
    for before, after in zip(bounds, bounds[size:], strict=False):
        hashed = empty.copy()  # a third faster than to set up a hash each time
        hashed.update(joined[before + 1 : after])
        digests.append(hashed.digest())
    return digests


def ngram_hashes(text: str, size: int) -> frozenset[int]:
    """Return the hashes of a text's n-grams as numbers of 64 bits, read little-endian."""
    return frozenset(
        int.from_bytes(digest, "little") for digest in ngram_digests(joined_words(text), size)
    )


def _gaps(joined: bytes) -> list[int]:
    ends = accumulate(map(len, joined.split(b" ")))
    return list(map(add, ends, count()))[:-1]
