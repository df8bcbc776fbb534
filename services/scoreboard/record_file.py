"""Record files: the form in which every archive of the room keeps what it never changes.

"<name>/record.json" holds a record, the version of its form and a checksum. Knows nothing of what
is recorded.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

import orjson
from pydantic import ValidationError

from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.storage.port import ObjectStore

_RECORD: Final = "/record.json"


def record_key(name: str) -> str:
    """Key under which the record of this name is stored."""
    return f"{name}{_RECORD}"


def record_names(store: ObjectStore, prefix: str, form: re.Pattern[str]) -> Iterator[str]:
    """Names of this form below a prefix that have a record, readable or not."""
    for key in store.keys(prefix):
        name = key.removesuffix(_RECORD)
        if name != key and form.fullmatch(name):
            yield name


def record_file(record: object, *, version: int) -> bytes:
    """Write a plain record with its checksum; equal records as equal bytes."""
    file = {"schema_version": version, "record_sha256": sha256_of(record), "record": record}
    return orjson.dumps(file, option=orjson.OPT_SORT_KEYS)


def check_sha256(key: str, record: object, sha256: str) -> None:
    """Hold a plain record against its checksum.

    Raises:
        StoredObjectCorrupt: they do not belong together.
    """
    if sha256_of(record) != sha256:
        raise StoredObjectCorrupt(key, "its content does not match its checksum")


def check_name(key: str, name: str, held: str) -> None:
    """Check that a file holds the record that its name says.

    Raises:
        StoredObjectCorrupt: it holds another one.
    """
    if held != name:
        raise StoredObjectCorrupt(key, f"it holds the record of {held}")


def sha256_of(record: object) -> str:
    """Checksum of a plain record, 64 hexadecimal digits."""
    return hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()


def misshapen(key: str, error: ValidationError) -> StoredObjectCorrupt:
    """Say where an object has not the form that it should have: the first place of all."""
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return StoredObjectCorrupt(key, f"{where}: {problem['msg']}" if where else problem["msg"])
