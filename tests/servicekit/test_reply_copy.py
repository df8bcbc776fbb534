"""The local copy knows without a look what it lacks, and never forgets what it holds."""

from pathlib import Path

from services.servicekit.reply_copy import LocalCopy
from services.servicekit.reply_holdings import Holdings
from services.servicekit.reply_segments import Lines, add_line
from tests.servicekit.replies import key


def _lines(*numbers: int) -> Lines:
    body = bytearray()
    for number in numbers:
        add_line(body, key(number), b"reply %d" % number)
    return Lines(body)


def test_what_is_held_is_never_lacking_and_little_else_is_taken_for_held() -> None:
    holdings = Holdings()
    holdings.add(bytes.fromhex(key(number)) for number in range(1000))

    assert not any(holdings.surely_lacks(key(number)) for number in range(1000))
    assert sum(holdings.surely_lacks(key(number)) for number in range(1000, 2000)) > 990


def test_stock_is_taken_of_what_was_there_before(tmp_path: Path) -> None:
    before = LocalCopy(tmp_path)
    before.add(_lines(1, 2), "one")
    before.close()
    copy = LocalCopy(tmp_path)
    copy.take_stock()

    assert [copy.find(key(number)) for number in (1, 2, 3)] == [b"reply 1", b"reply 2", None]
    copy.close()


def test_what_is_added_later_is_found_whoever_added_it(tmp_path: Path) -> None:
    copy, other = LocalCopy(tmp_path), LocalCopy(tmp_path)
    copy.take_stock()
    copy.add(_lines(1), "one")
    other.add(_lines(2), "two")

    assert copy.find(key(2)) == b"reply 2"  # the file has changed, so it is looked into
    assert copy.find(key(1)) == b"reply 1"
    copy.close()
    other.close()


def test_stock_that_is_taken_again_has_what_others_added_in_the_last_moment(
    tmp_path: Path,
) -> None:
    copy, other = LocalCopy(tmp_path), LocalCopy(tmp_path)
    copy.take_stock()
    for number in range(20):
        assert copy.find(key(number)) is None
        other.add(_lines(number), f"segment {number}")
        copy.take_stock()
        assert copy.find(key(number)) == b"reply %d" % number
    copy.close()
    other.close()


def test_a_copy_that_was_begun_anew_is_looked_into_until_stock_is_taken(tmp_path: Path) -> None:
    copy = LocalCopy(tmp_path)
    copy.add(_lines(1), "one")
    copy.take_stock()
    for path in tmp_path.iterdir():
        path.unlink()
    other = LocalCopy(tmp_path)
    other.add(_lines(2), "two")

    assert copy.segments() == {"two"}
    assert copy.find(key(2)) == b"reply 2"
    assert copy.find(key(1)) is None
    copy.close()
    other.close()
