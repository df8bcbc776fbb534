"""The archive: append-only evaluations behind the object store port.

Knows nothing of statistics beyond the counts it keeps. Layout, below "evaluations/":

    <first 32 digits of the digest>/outcomes-<SHA-256 of the file>.json
    <first 32 digits of the digest>/record.json

The record is put last and names the outcomes it belongs to by their content. So an
evaluation exists when its record does, whatever was killed before, and two writers
can never make one record of two. A record carries the counts of its outcomes, so that
rates need no outcomes.
"""

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from services.scoreboard.evaluation import EVALUATION_NAME, EvaluationRecord, Header, Outcome
from services.scoreboard.evaluation_files import (
    StoredRecord,
    decode_outcomes,
    decode_record,
    encode_outcomes,
    encode_record,
    record_of,
)
from services.scoreboard.record_file import check_name, record_key, record_names
from services.servicekit.errors import ResourceConflict, ResourceNotFound, StoredObjectCorrupt
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

_PREFIX: Final = "evaluations/"


class Archive:
    """Reads and publishes evaluations. Every method may raise StoreUnavailable."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        # Between the look at what is stored and the put, this process writes nothing else.
        self._publishing = threading.Lock()

    def publish(self, header: Header, outcomes: tuple[Outcome, ...]) -> EvaluationRecord:
        """Store an evaluation, or return the one that is stored with the same outcomes.

        Raises:
            ResourceConflict: other outcomes or another digest have this name.
            StoredObjectCorrupt: the name is taken by a record that cannot be read.
        """
        content = encode_outcomes(outcomes)
        sha256 = hashlib.sha256(content).hexdigest()
        record = record_of(header, outcomes, create_time=datetime.now(UTC), outcomes_sha256=sha256)
        with self._publishing:
            if not self._store.exists(record_key(header.name)):
                self._store.put(_outcomes_key(header.name, sha256), content)
                self._store.put(record_key(header.name), encode_record(record))
            # Another replica may have published in the same moment; what is stored decides.
            stored = self._read_record(header.name)
        if stored.header.digest != header.digest:
            detail = f"it stands for another digest, {stored.header.digest}"
            raise ResourceConflict("evaluation", header.name, detail)
        if stored.outcomes_sha256 != sha256:
            detail = (
                f"it is stored with {stored.num_outcomes} outcomes that differ from these "
                f"{len(outcomes)}; a digest stands for one set of outcomes"
            )
            raise ResourceConflict("evaluation", header.name, detail)
        return stored.evaluation

    def names(self) -> Iterator[str]:
        """Names of all evaluations, readable or not."""
        return record_names(self._store, _PREFIX, EVALUATION_NAME)

    def record(self, name: str) -> EvaluationRecord:
        """Read a record.

        Raises:
            ResourceNotFound: there is none of this name.
            StoredObjectCorrupt: it cannot be read.
        """
        return self._read_record(name).evaluation

    def outcomes(self, name: str) -> tuple[Outcome, ...]:
        """Read the outcomes of an evaluation, in the order of their scenarios.

        Raises:
            ResourceNotFound: there is no evaluation of this name.
            StoredObjectCorrupt: its record or its outcomes cannot be read.
        """
        record = self._read_record(name)
        key = _outcomes_key(name, record.outcomes_sha256)
        try:
            content = self._store.get(key)
        except ObjectNotFound as error:
            raise StoredObjectCorrupt(key, "it is missing, and its record is there") from error
        return decode_outcomes(key, content, record.outcomes_sha256)

    def _read_record(self, name: str) -> StoredRecord:
        key = record_key(name)
        try:
            content = self._store.get(key)
        except ObjectNotFound as error:
            raise ResourceNotFound("evaluation", name) from error
        record = decode_record(key, content)
        check_name(key, name, record.header.name)
        return record


def _outcomes_key(name: str, sha256: str) -> str:
    return f"{name}/outcomes-{sha256}.json"
