"""The port to an object store, and the rule for its keys. Knows no disk and no network."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from services.servicekit.errors import InvalidField, ResourceNotFound

MAX_KEY_BYTES = 1024  # the limit of S3
MAX_SEGMENT_BYTES = 200  # the limit of common file systems is 255; temporary names need the rest

_SEGMENT = re.compile(r"[A-Za-z0-9._=@-]+", re.ASCII)
_ALLOWED = 'must be segments of letters, digits and "._=@-" joined by "/"'


class ObjectNotFound(ResourceNotFound):
    """A stored object does not exist."""

    def __init__(self, key: str) -> None:
        """Name the object's key."""
        super().__init__("object", key)
        self.key = key


class ObjectStore(Protocol):
    """Named, immutable-by-habit blobs. Every method may raise StoreUnavailable.

    A key is one segment or several joined by "/", each of letters, digits and "._=@-", none of
    them "." or ".."; anything else is an InvalidField. No key should be the folder of another:
    a directory cannot hold both, a bucket can. Methods block; async callers use asyncio.to_thread.
    """

    def get(self, key: str) -> bytes:
        """Return the whole content.

        Raises:
            ObjectNotFound: nothing was put under this key.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object; readers see the old content or the new, never a part.

        Raises:
            ResourceConflict: this store cannot hold a key that is the folder of another key.
        """
        ...

    def exists(self, key: str) -> bool:
        """Say whether something was put under this key."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the keys that start with this text, sorted by code point."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        ...

    def fetch_file(self, key: str, path: Path) -> None:
        """Copy an object into a local file, which appears whole or not at all.

        Raises:
            ObjectNotFound: nothing was put under this key.
            OSError: the local file cannot be written.
        """
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with a local file's content, as put does.

        Raises:
            OSError: the local file cannot be read.
        """
        ...


def check_key(key: str) -> str:
    """Return a valid key unchanged.

    Raises:
        InvalidField: a key that leaves its store, or that not every store can hold.
    """
    if len(key) > MAX_KEY_BYTES:
        raise InvalidField.at("key", f"must be at most {MAX_KEY_BYTES} bytes, got {len(key)}")
    for segment in key.split("/"):
        _check_segment("key", key, segment)
    return key


def check_prefix(prefix: str) -> str:
    """Return a valid start of a key unchanged; it may be empty or end in "/" or mid-segment.

    Raises:
        InvalidField: a text that no key starts with.
    """
    *folders, last = prefix.split("/")
    for segment in folders:
        _check_segment("prefix", prefix, segment)
    if last and not _SEGMENT.fullmatch(last):
        raise InvalidField.at("prefix", f"{_ALLOWED}, got {prefix!r}")
    return prefix


def is_segment(name: str) -> bool:
    """Say whether a name may stand between the slashes of a key."""
    return (
        _SEGMENT.fullmatch(name) is not None
        and name not in {".", ".."}
        and len(name) <= MAX_SEGMENT_BYTES
    )


def _check_segment(field: str, text: str, segment: str) -> None:
    if is_segment(segment):
        return
    if len(segment) > MAX_SEGMENT_BYTES:
        raise InvalidField.at(field, f"each segment must be at most {MAX_SEGMENT_BYTES} bytes")
    raise InvalidField.at(field, f'{_ALLOWED}, none of them empty, "." or "..", got {text!r}')
