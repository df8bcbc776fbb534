"""Small segments become few large ones, whatever happens meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.servicekit.reply_cache import ReplyCache
from services.servicekit.reply_joining import FAN_IN, join_segments, segments_to_join
from services.servicekit.reply_segments import (
    PREFIX,
    Segment,
    SegmentName,
    add_line,
    begun_at,
    lines_from_bytes,
)
from services.servicekit.storage.directory import DirectoryStore
from services.servicekit.storage.port import ObjectStore
from tests.servicekit.replies import FragileStore, key, reply, until

MOMENTS = st.integers(min_value=0, max_value=2**33).map(lambda s: datetime.fromtimestamp(s, UTC))
NAMES = st.builds(
    SegmentName,
    begun=MOMENTS.map(begun_at),
    writer=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    number=st.integers(min_value=0, max_value=10**9),
    size=st.integers(min_value=0, max_value=64 << 20),
)


class _Killed(Exception):
    """Stands for SIGKILL between two steps of the joining."""


class _KilledStore(FragileStore):
    """Dies before the operation of this number that changes something."""

    def __init__(self, store: ObjectStore, *, dies_at: int) -> None:
        super().__init__(store)
        self._left = dies_at

    def put(self, key: str, data: bytes) -> None:
        self._step()
        super().put(key, data)

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)

    def _step(self) -> None:
        if not self._left:
            raise _Killed
        self._left -= 1


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def _fill(store: ObjectStore, num_segments: int, *, first: int = 0) -> None:
    for number in range(first, first + num_segments):
        body = bytearray()
        add_line(body, f"{number:064x}", b"reply %d" % number)
        segment = Segment.of(
            body,
            begun=f"20260523T{number:012d}Z",
            writer="0" * 16,
            number=1,
        )
        store.put(segment.name.key, segment.data)


def _rows(store: ObjectStore) -> dict[str, bytes]:
    rows: dict[str, bytes] = {}
    for name in store.keys(PREFIX):
        lines = lines_from_bytes(name, store.get(name))
        rows |= {key: bytes(reply) for key, reply in lines}
    return rows


def _joined(store: ObjectStore) -> list[Segment]:
    return list(join_segments(store, left_alone=(), stops=lambda: False))


def test_joining_loses_nothing_and_leaves_few_segments(store: DirectoryStore) -> None:
    _fill(store, 5 * FAN_IN)
    before = _rows(store)

    _joined(store)

    assert _rows(store) == before
    assert len(list(store.keys(PREFIX))) < FAN_IN


def test_few_segments_are_left_as_they_are(store: DirectoryStore) -> None:
    _fill(store, FAN_IN - 1)

    assert _joined(store) == []
    assert len(list(store.keys(PREFIX))) == FAN_IN - 1


@pytest.mark.parametrize("step", [0, 1, 2, FAN_IN - 1, FAN_IN])
def test_joining_may_be_killed_anywhere(store: DirectoryStore, step: int) -> None:
    _fill(store, FAN_IN)
    before = _rows(store)

    with pytest.raises(_Killed):
        _joined(_KilledStore(store, dies_at=step))

    assert _rows(store) == before
    _fill(store, FAN_IN, first=FAN_IN)
    _joined(store)
    assert before.items() < _rows(store).items()


def test_two_that_join_the_same_lose_nothing(store: DirectoryStore) -> None:
    _fill(store, 2 * FAN_IN)
    before = _rows(store)

    class Interrupted(FragileStore):
        """Another process joins everything just before this one deletes."""

        def put(self, key: str, data: bytes) -> None:
            super().put(key, data)
            _joined(self._store)

    _joined(Interrupted(store))

    assert _rows(store) == before


def test_segments_that_vanish_while_they_are_joined_are_another_s(store: DirectoryStore) -> None:
    _fill(store, 2 * FAN_IN)
    before = _rows(store)

    class Overtaken(FragileStore):
        """Another process joins everything just after this one listed."""

        def keys(self, prefix: str = "") -> Iterator[str]:
            listed = list(super().keys(prefix))
            _joined(self._store)
            yield from listed

    _joined(Overtaken(store))

    assert _rows(store) == before


def test_a_damaged_segment_is_not_joined_away(store: DirectoryStore) -> None:
    _fill(store, FAN_IN + 1)
    damaged = next(iter(store.keys(PREFIX)))
    store.put(damaged, b"damaged")

    _joined(store)

    assert store.get(damaged) == b"damaged"
    assert len(list(store.keys(PREFIX))) == 2


async def test_a_reader_finds_what_was_joined_since_it_listed(
    store: DirectoryStore, tmp_path: Path
) -> None:
    for number in range(FAN_IN):
        async with ReplyCache(store, tmp_path / "writer", refresh_seconds=3600.0) as cache:
            await cache.keep(key(number), reply(number))

    class Overtaken(FragileStore):
        def get(self, key: str) -> bytes:
            _joined(self._store)
            return super().get(key)

    async with ReplyCache(Overtaken(store), tmp_path / "reader") as cache:
        assert [await cache.find(key(number)) for number in range(FAN_IN)] == list(
            map(reply, range(FAN_IN))
        )


async def test_a_cache_joins_what_it_finds_in_many_pieces(
    store: DirectoryStore, tmp_path: Path
) -> None:
    for number in range(FAN_IN):
        async with ReplyCache(store, tmp_path / "writer") as cache:
            await cache.keep(key(number), reply(number))
    assert len(list(store.keys(PREFIX))) == FAN_IN

    async with ReplyCache(store, tmp_path / "writer") as cache:
        await cache.find(key(FAN_IN))
        await until(lambda: cache.counts.joined_segments > 0)

    assert len(list(store.keys(PREFIX))) == 1
    async with ReplyCache(store, tmp_path / "fresh") as cache:
        assert [await cache.find(key(number)) for number in range(FAN_IN)] == list(
            map(reply, range(FAN_IN))
        )


@given(NAMES)
def test_a_segment_s_name_survives_its_key(name: SegmentName) -> None:
    assert SegmentName.parsed(name.key) == name


@given(st.lists(NAMES, max_size=200))
def test_what_is_joined_fits_together(names: list[SegmentName]) -> None:
    chosen = segments_to_join(names)

    assert len(chosen) != 1
    assert sum(name.size for name in chosen) <= 16 << 20
    assert all(one <= other for one, other in pairwise(chosen))
