"""Joins many small segments into few large ones. Knows no local copy and no event loop.

Safe at any moment and beside any number of others: a segment is deleted only after an object that
holds all of its replies was written. Whoever is killed in between leaves replies twice, and whoever
read a listing just before finds a name gone and the replies under a newer one.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.logs import get_logger
from services.servicekit.reply_segments import (
    PREFIX,
    Segment,
    SegmentName,
    add_line,
    lines_from_bytes,
)
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

FAN_IN = 32
"""Segments of about one size that are worth joining."""

_BITS_A_TIER = 5  # log2(FAN_IN): what is joined leaves its tier, so a reply is copied few times
_LARGE_BYTES = 8 << 20
_MOST_BYTES = 16 << 20


def segments_to_join(names: Iterable[SegmentName]) -> Sequence[SegmentName]:
    """Choose the oldest segments of a size that has too many; empty if there is none."""
    tiers: defaultdict[int, list[SegmentName]] = defaultdict(list)
    for name in names:
        if name.size < _LARGE_BYTES:
            tiers[name.size.bit_length() // _BITS_A_TIER].append(name)
    for _, tier in sorted(tiers.items()):
        if len(tier) >= FAN_IN:
            return _as_many_as_fit(sorted(tier))
    return ()


def join_segments(
    store: ObjectStore, *, left_alone: Container[str], stops: Callable[[], bool]
) -> Iterator[Segment]:
    """Join until no size has too many segments. Blocks.

    Args:
        store: Where the segments are.
        left_alone: Keys of objects that cannot be read.
        stops: Asked between steps; true ends the work early.

    Raises:
        StoreUnavailable: the store cannot be reached or written.
    """
    unreadable: set[str] = set()
    while not stops():
        listed = map(SegmentName.parsed, store.keys(PREFIX))
        sources = segments_to_join(
            name
            for name in listed
            if name and name.key not in left_alone and name.key not in unreadable
        )
        if not sources:
            return
        body, read = _read(store, sources, unreadable)
        if len(read) < 2 or stops():  # noqa: PLR2004 (one segment is joined already)
            continue
        joined = _joined(body, read)
        store.put(joined.name.key, joined.data)
        for name in read:
            store.delete(name.key)
        yield joined


def _as_many_as_fit(tier: Sequence[SegmentName]) -> Sequence[SegmentName]:
    total = 0
    for count, name in enumerate(tier):
        total += name.size
        if total > _MOST_BYTES:
            return tier[:count]
    return tier


def _read(
    store: ObjectStore, sources: Sequence[SegmentName], unreadable: set[str]
) -> tuple[bytearray, list[SegmentName]]:
    body = bytearray()
    keys: set[str] = set()
    read = []
    for name in sources:
        try:
            lines = lines_from_bytes(name.key, store.get(name.key))
        except ObjectNotFound:
            continue  # another process joined it
        except StoredObjectCorrupt as error:
            get_logger().warning("reply_segment.skipped", key=name.key, detail=error.message)
            unreadable.add(name.key)
            continue
        read.append(name)
        for key, reply in lines:
            if key not in keys:  # the oldest reply of a key is the one that counts
                keys.add(key)
                add_line(body, key, reply)
    return body, read


def _joined(body: bytearray, sources: Sequence[SegmentName]) -> Segment:
    # Named after its sources: two processes that join the same write the same object.
    digest = hashlib.sha256("\n".join(name.key for name in sources).encode()).hexdigest()
    return Segment.of(body, begun=sources[0].begun, writer=digest[:16], number=0)
