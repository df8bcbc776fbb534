"""Words and n-grams are what the contract says, in any script and however text is composed."""

import re
import unicodedata
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.servicekit.ngrams import joined_words, ngram_digests, ngram_hashes, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, WORLD_x 3rd!", ["hello", "world", "x", "3rd"]),
        ("l\u2019\u00c9COLE \u2014 d'E\u0301t\u00e9", ["l", "\u00e9cole", "d", "\u00e9t\u00e9"]),
        (
            "\u041f\u0440\u0438\u0432\u0435\u0442, \u041c\u0438\u0440",
            ["\u043f\u0440\u0438\u0432\u0435\u0442", "\u043c\u0438\u0440"],
        ),
        ("tab\tnew\nline\u00a0wide\u2026", ["tab", "new", "line", "wide"]),
        ("_ \u2014 ...", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_in_lower_case(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_words_do_not_depend_on_how_accents_are_composed(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@given(st.text())
def test_the_fast_ways_read_what_the_pattern_reads(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    lowered = unicodedata.normalize("NFC", composed.lower())

    assert words(text) == re.findall(r"[^\W_]+", lowered)


@given(st.text(), st.integers(1, 6))
def test_hashes_are_those_of_the_contract(text: str, size: int) -> None:
    found = words(text)
    ngrams = [" ".join(found[i : i + size]) for i in range(len(found) - size + 1)]

    assert ngram_hashes(text, size) == {
        int.from_bytes(blake2b(each.encode(), digest_size=8).digest(), "little") for each in ngrams
    }


def test_known_gaps_change_nothing() -> None:
    joined = joined_words("one two three four \u00e9t\u00e9 six")
    gaps = [i for i, byte in enumerate(joined) if byte == 32]

    assert ngram_digests(joined, 5, gaps=gaps) == ngram_digests(joined, 5)
    assert len(ngram_digests(joined, 5)) == 2


def test_a_text_shorter_than_an_ngram_has_none() -> None:
    assert ngram_hashes("one two three four", 5) == frozenset()
    assert ngram_hashes("", 5) == frozenset()


def test_an_ngram_of_no_words_is_refused() -> None:
    with pytest.raises(ValueError, match="1 word or more"):
        ngram_digests(b"one", 0)
