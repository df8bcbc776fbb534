"""Moves segments between the object store and the local copy. Blocks; knows no event loop."""

import threading

from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.logs import get_logger
from services.servicekit.reply_copy import LocalCopy
from services.servicekit.reply_joining import join_segments, segments_to_join
from services.servicekit.reply_segments import PREFIX, Lines, Segment, SegmentName, lines_from_bytes
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

_MOST_LISTINGS = 8


class Shelf:
    """The segments of all processes, and what this one has read of them.

    Each method may run in a thread of its own beside the others.
    """

    def __init__(self, store: ObjectStore, copy: LocalCopy) -> None:
        """Read segments of this store into this copy."""
        self._store = store
        self._copy = copy
        self._skipped: set[str] = set()
        self._stopping = threading.Event()
        self.num_imported = 0
        """Segments of others that were read."""
        self.num_joined = 0
        """Segments that were written in place of smaller ones."""
        self.has_many_small = False
        """Whether the last listing had segments that are worth joining."""

    @property
    def num_skipped(self) -> int:
        """Stored objects that are no readable segment."""
        return len(self._skipped)

    def stop(self) -> None:
        """End what runs at its next step; what was begun is left safe."""
        self._stopping.set()

    def put(self, segment: Segment) -> str:
        """Store a segment and return its key; safe to repeat.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        self._store.put(segment.name.key, segment.data)
        return segment.name.key

    def shelve(self, lines: Lines, key: str) -> None:
        """Take a stored segment of our own over into the copy.

        Raises:
            StoreUnavailable: the copy cannot be written.
        """
        # Replaces, because a reply is asked for again only where the copy's could not be read.
        self._copy.add(lines, key, replaces=True)

    def import_new(self) -> None:
        """Read every segment that the copy does not have yet.

        Raises:
            StoreUnavailable: the store cannot be read, or the copy cannot be written.
        """
        for _ in range(_MOST_LISTINGS):
            # Asked before and after, because segments of our own come while the store lists.
            before = self._copy.segments()
            listed = self._listed()
            fresh = sorted(listed.keys() - self._copy.segments() - self._skipped)
            num_gone = sum(not self._import(key) for key in fresh)
            self._copy.forget_segments(before - listed.keys())
            self.has_many_small = bool(
                segments_to_join(name for key, name in listed.items() if key not in self._skipped)
            )
            # A segment that is gone was joined to others in the meantime, under a newer name.
            if not num_gone or self._stopping.is_set():
                break
        self._copy.take_stock()

    def join_small(self) -> None:
        """Join small segments until no size has too many.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        self.has_many_small = False
        for segment in join_segments(
            self._store, left_alone=self._skipped, stops=self._stopping.is_set
        ):
            self.num_joined += 1
            self._copy.add(segment.lines, segment.name.key)

    def _listed(self) -> dict[str, SegmentName]:
        listed = {}
        for key in self._store.keys(PREFIX):
            name = SegmentName.parsed(key)
            if name:
                listed[key] = name
            elif key not in self._skipped:
                self._skip(key, "its name is not a segment's")
        return listed

    def _import(self, key: str) -> bool:
        if self._stopping.is_set():
            return False
        try:
            lines = lines_from_bytes(key, self._store.get(key))
        except ObjectNotFound:
            return False
        except StoredObjectCorrupt as error:
            self._skip(key, error.message)
            return True
        self._copy.add(lines, key)
        self.num_imported += 1
        return True

    def _skip(self, key: str, detail: str) -> None:
        self._skipped.add(key)
        get_logger().error("reply_segment.skipped", key=key, detail=detail)
