"""Keys of stored objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.servicekit.errors import InvalidField
from services.servicekit.storage.port import check_key, check_prefix

KEYS = st.lists(st.from_regex(r"[A-Za-z0-9._=@-]{1,20}", fullmatch=True), min_size=1, max_size=5)


@given(KEYS)
def test_a_key_of_good_segments_is_a_key_and_all_its_starts_are_prefixes(
    segments: list[str],
) -> None:
    if {".", ".."} & set(segments):
        segments = [f"x{segment}" for segment in segments]
    key = "/".join(segments)

    assert check_key(key) == key
    for end in range(len(key) + 1):
        assert check_prefix(key[:end]) == key[:end]


@given(st.text(max_size=30))
def test_whatever_is_accepted_cannot_leave_its_directory(text: str) -> None:
    try:
        check_key(text)
    except InvalidField:
        return
    segments = text.split("/")
    assert text.isascii()
    assert not {"", ".", ".."} & set(segments)
    assert not {"\\", "\0", "~", " ", "\n"} & set(text)


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "%2e%2e/a"),
        *("a b", "a~1", "a\\b", "a\0b", "a\n", "ä", "a:b", "x" * 201, "/".join(["abc"] * 300)),
    ],
)
def test_a_key_that_not_every_store_can_hold_is_refused(key: str) -> None:
    with pytest.raises(InvalidField, match=r"^key: "):
        check_key(key)


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//", "a b", "~"])
def test_a_prefix_that_no_key_has_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidField, match=r"^prefix: "):
        check_prefix(prefix)
