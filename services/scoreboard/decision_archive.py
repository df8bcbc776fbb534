"""The archive of decisions and promotions: append-only, one object each, behind the store port.

Layout: "<name>/record.json", where the name holds the digest of what the record is a function of.
A record that is there is never written again.
"""

import re
import threading
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from services.scoreboard.decision import DECISION_NAME, PROMOTION_NAME, Decision, Promotion
from services.scoreboard.record_file import (
    check_name,
    check_sha256,
    misshapen,
    record_file,
    record_key,
    record_names,
)
from services.servicekit.errors import ResourceConflict, ResourceNotFound, StoredObjectCorrupt
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

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
            key = record_key(record.name)
            if not self._store.exists(key):
                plain = self._records.dump_python(record, mode="json")
                self._store.put(key, record_file(plain, version=_SCHEMA_VERSION))
            stored = self.record(record.name)
        if stored.digest != record.digest:
            detail = f"it stands for another digest, {stored.digest}"
            raise ResourceConflict(self._prefix.rstrip("s"), record.name, detail)
        return stored

    def names(self) -> Iterator[str]:
        """Names of all records, readable or not."""
        return record_names(self._store, f"{self._prefix}/", self._names)

    def record(self, name: str) -> RecordT:
        """Read a record.

        Raises:
            ResourceNotFound: there is none of this name.
            StoredObjectCorrupt: it cannot be read.
        """
        key = record_key(name)
        try:
            content = self._store.get(key)
        except ObjectNotFound as error:
            raise ResourceNotFound(self._prefix.rstrip("s"), name) from error
        record = self._decode(key, content)
        check_name(key, name, record.name)
        return record

    def _decode(self, key: str, content: bytes) -> RecordT:
        try:
            file = orjson.loads(content)
            version, sha256, plain = (
                file[name] for name in ("schema_version", "record_sha256", "record")
            )
            if version != _SCHEMA_VERSION:
                raise StoredObjectCorrupt(key, f"its schema_version is {version}")
            check_sha256(key, plain, sha256)
            return self._records.validate_python(plain)
        except ValidationError as error:
            raise misshapen(key, error) from error
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise StoredObjectCorrupt(key, f"it is no record: {error}") from error


class DecisionArchive:
    """What gates decided, and what was done with it."""

    def __init__(self, store: ObjectStore) -> None:
        self.decisions = Shelf(store, Decision, prefix="decisions", names=DECISION_NAME)
        self.promotions = Shelf(store, Promotion, prefix="promotions", names=PROMOTION_NAME)
