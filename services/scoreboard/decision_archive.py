"""The archive of decisions and promotions: append-only, one object each, behind the store port.

Layout: "<name>/record.json", where the name holds the digest of what the record is a function of.
A record that is there is never written again.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from services.scoreboard.decision import DECISION_NAME, PROMOTION_NAME, Decision, Promotion
from services.servicekit.errors import ResourceConflict, ResourceNotFound, StoredObjectCorrupt
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

_RECORD: Final = "/record.json"
_SCHEMA_VERSION: Final = 1


class _Digested(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...


RecordT = TypeVar("RecordT", bound=_Digested)


class Shelf(Generic[RecordT]):
    """Records of one kind. Every method may raise StoreUnavailable."""

    def __init__(
        self, store: ObjectStore, kind: type[RecordT], *, prefix: str, names: re.Pattern[str]
    ) -> None:
        """Keep records of a kind below a prefix, under names of this form."""
        self._store = store
        self._records = TypeAdapter(kind)
        self._prefix = prefix
        self._names = names
        # Between the look at what is stored and the put, this process writes nothing else.
        self._publishing = threading.Lock()

    def publish(self, record: RecordT) -> RecordT:
        """Store a record, or return the one that is stored under its name.

        Raises:
            ResourceConflict: another digest has this name.
            StoredObjectCorrupt: the name is taken by a record that cannot be read.
        """
        with self._publishing:
            key = f"{record.name}{_RECORD}"
            if not self._store.exists(key):
                self._store.put(key, self._encode(record))
            stored = self.record(record.name)
        if stored.digest != record.digest:
            detail = f"it stands for another digest, {stored.digest}"
            raise ResourceConflict(self._prefix.rstrip("s"), record.name, detail)
        return stored

    def names(self) -> Iterator[str]:
        """Names of all records, readable or not."""
        for key in self._store.keys(f"{self._prefix}/"):
            name = key.removesuffix(_RECORD)
            if name != key and self._names.fullmatch(name):
                yield name

    def record(self, name: str) -> RecordT:
        """Read a record.

        Raises:
            ResourceNotFound: there is none of this name.
            StoredObjectCorrupt: it cannot be read.
        """
        key = f"{name}{_RECORD}"
        try:
            content = self._store.get(key)
        except ObjectNotFound as error:
            raise ResourceNotFound(self._prefix.rstrip("s"), name) from error
        record = self._decode(key, content)
        if record.name != name:
            raise StoredObjectCorrupt(key, f"it holds the record of {record.name}")
        return record

    def _encode(self, record: RecordT) -> bytes:
        plain = self._records.dump_python(record, mode="json")
        file = {
            "schema_version": _SCHEMA_VERSION,
            "record_sha256": _sha256(plain),
            "record": plain,
        }
        return orjson.dumps(file, option=orjson.OPT_SORT_KEYS)

    def _decode(self, key: str, content: bytes) -> RecordT:
        try:
            file = orjson.loads(content)
            version, sha256, plain = (
                file[name] for name in ("schema_version", "record_sha256", "record")
            )
            if version != _SCHEMA_VERSION:
                raise StoredObjectCorrupt(key, f"its schema_version is {version}")
            if _sha256(plain) != sha256:
                raise StoredObjectCorrupt(key, "its content does not match its checksum")
            return self._records.validate_python(plain)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise StoredObjectCorrupt(key, f"{where}: {problem['msg']}") from error
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise StoredObjectCorrupt(key, f"it is no record: {error}") from error


class DecisionArchive:
    """What gates decided, and what was done with it."""

    def __init__(self, store: ObjectStore) -> None:
        self.decisions = Shelf(store, Decision, prefix="decisions", names=DECISION_NAME)
        self.promotions = Shelf(store, Promotion, prefix="promotions", names=PROMOTION_NAME)


def _sha256(plain: object) -> str:
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()
