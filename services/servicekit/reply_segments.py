"""Segments: many replies in one stored object. Knows no store.

A segment is a line of JSON that says what follows, and then a line for each reply: its key, a tab
and the reply. Its name says when it was begun, who wrote it and how large it is, so that a listing
alone tells which segments are worth joining, and no two writers ever choose the same name.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import orjson

from services.servicekit.errors import StoredObjectCorrupt

PREFIX = "replies/"
"""Start of the key of every segment."""

SCHEMA_VERSION = 1
"""Written into each segment; a segment of another version is left alone."""

_SEGMENT_KEY = re.compile(
    r"replies/(?P<begun>\d{8}T\d{12}Z)-(?P<writer>[0-9a-f]{16})-(?P<number>\d{6,})"
    r"-(?P<size>\d+)\.jsonl",
    re.ASCII,
)
_SCHEMA = "teachwhy.replies"
_KEY_DIGITS = 64


class OtherSchemaVersion(StoredObjectCorrupt):
    """A segment is whole and was written by another version of this program."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SegmentName:
    """Name of a segment; the order of names is the order of age."""

    begun: str
    """When its first reply was kept, in UTC to the microsecond: "20260523T130442123456Z"."""

    writer: str
    """16 hexadecimal digits that one writer alone has."""

    number: int
    """Counts the writer's segments."""

    size: int
    """Bytes of the whole object."""

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{PREFIX}{self.begun}-{self.writer}-{self.number:06d}-{self.size}.jsonl"

    @classmethod
    def parsed(cls, key: str) -> Self | None:
        """Read an object's key; None if it is no segment's."""
        match = _SEGMENT_KEY.fullmatch(key)
        if match is None:
            return None
        return cls(
            begun=match["begun"],
            writer=match["writer"],
            number=int(match["number"]),
            size=int(match["size"]),
        )


def begun_at(moment: datetime) -> str:
    """Write a moment as names of segments carry it."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S%f}Z"


@dataclass(frozen=True, slots=True)
class Lines:
    """Replies as a segment has them, read one by one and as often as needed.

    They stay in the one buffer that they were collected or loaded in: a process that keeps
    hundreds of thousands must not have an object for each.
    """

    body: bytes | bytearray

    def __iter__(self) -> Iterator[tuple[str, memoryview]]:
        """Yield keys and replies; a reply may be used as long as the buffer is."""
        view = memoryview(self.body)
        start = 0
        while start < len(view):
            tab, end = start + _KEY_DIGITS, self.body.index(b"\n", start)
            yield self.body[start:tab].decode(), view[tab + 1 : end]
            start = end + 1


def add_line(body: bytearray, key: str, reply: bytes | memoryview) -> slice:
    """Add a reply to a buffer and return where it lies there."""
    body += key.encode()
    body += b"\t"
    start = len(body)
    body += reply
    place = slice(start, len(body))
    body += b"\n"
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Replies as they are stored in one object."""

    name: SegmentName
    lines: Lines
    data: bytes
    """Content of the object."""

    @classmethod
    def of(cls, body: bytearray, *, begun: str, writer: str, number: int) -> Self:
        """Make a segment; the same body gives the same bytes."""
        header = orjson.dumps(
            {
                "schema": _SCHEMA,
                "version": SCHEMA_VERSION,
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        )
        data = b"\n".join((header, body))
        name = SegmentName(begun=begun, writer=writer, number=number, size=len(data))
        return cls(name=name, lines=Lines(body), data=data)


def lines_from_bytes(key: str, data: bytes) -> Lines:
    """Read a segment, all of it or nothing.

    Raises:
        OtherSchemaVersion: another version of this program wrote it.
        StoredObjectCorrupt: the object is not what its writer wrote.
    """
    header_line, _, body = data.partition(b"\n")
    _check(key, header_line, body)
    return Lines(body)


def _check(key: str, header_line: bytes, body: bytes) -> None:
    try:
        header = orjson.loads(header_line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("schema") != _SCHEMA:
        raise StoredObjectCorrupt(key, "it does not begin as a segment of replies")
    if header.get("version") != SCHEMA_VERSION:
        raise OtherSchemaVersion(
            key, f"its schema version is {header.get('version')}, known is {SCHEMA_VERSION}"
        )
    if header.get("sha256") != hashlib.sha256(body).hexdigest():
        raise StoredObjectCorrupt(key, "its checksum does not fit its content")
