"""What an evaluation is as files: its outcomes by column, and its record.

Versions: outcomes 3 have suites and evaluation awareness, records 2 have cells of suites and sums
of awareness. What has neither is written as before them, byte for byte: an evaluation that was
recorded by an earlier room is recognised when it is sent again.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, ValidationError

from services.scoreboard.evaluation import (
    BaitGrade,
    CellCounts,
    CellKey,
    Conduct,
    EvaluationRecord,
    Header,
    Outcome,
    ScenarioKind,
    Split,
)
from services.scoreboard.rates import count_outcomes
from services.scoreboard.record_file import check_sha256, misshapen, record_file
from services.servicekit.errors import StoredObjectCorrupt

_OUTCOMES_BEFORE: Final = 2
_OUTCOMES_NOW: Final = 3
_RECORD_BEFORE: Final = 1
_RECORD_NOW: Final = 2


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class _OutcomesFile(_File):
    """Outcomes by column, each column as long as the others."""

    schema_version: Literal[2, 3]
    scenario_id: list[str]
    family: list[str]
    split: list[Split]
    kind: list[ScenarioKind]
    conduct: list[Conduct | None]
    truncated: list[bool]
    acted: list[bool]
    labels: list[tuple[str, ...]]
    cluster: list[str]
    has_panel: list[bool]
    opinion: list[BaitGrade | None]
    layers_disagree: list[bool]
    suite: list[str] | None = None
    evaluation_awareness: list[float | None] | None = None


class StoredRecord(_File):
    """A record as it is stored: with the checksum of its outcomes."""

    header: Header
    create_time: AwareDatetime
    num_outcomes: NonNegativeInt
    outcomes_sha256: str
    cells: list[tuple[CellKey, CellCounts]]

    @property
    def evaluation(self) -> EvaluationRecord:
        """What the room speaks of."""
        return EvaluationRecord(
            header=self.header,
            create_time=self.create_time,
            num_outcomes=self.num_outcomes,
            counts=dict(self.cells),
        )


class _RecordFile(_File):
    schema_version: Literal[1, 2]
    record_sha256: str
    record: StoredRecord


_FileT = TypeVar("_FileT", bound=_File)


def record_of(
    header: Header, outcomes: tuple[Outcome, ...], *, create_time: datetime, outcomes_sha256: str
) -> StoredRecord:
    """Make the record of outcomes."""
    return StoredRecord(
        header=header,
        create_time=create_time,
        num_outcomes=len(outcomes),
        outcomes_sha256=outcomes_sha256,
        cells=list(count_outcomes(outcomes).items()),
    )


def encode_record(record: StoredRecord) -> bytes:
    """Write a record."""
    plain = _plain(record)
    is_new = any(_ADDED & (key.keys() | counts.keys()) for key, counts in plain["cells"])
    return record_file(plain, version=_RECORD_NOW if is_new else _RECORD_BEFORE)


def decode_record(key: str, content: bytes) -> StoredRecord:
    """Read a record.

    Raises:
        StoredObjectCorrupt: it is none, or does not match its checksum.
    """
    file = _decode(key, content, _RecordFile)
    check_sha256(key, _plain(file.record), file.record_sha256)
    return file.record


def encode_outcomes(outcomes: tuple[Outcome, ...]) -> bytes:
    """Write equal outcomes as equal bytes."""
    columns: dict[str, object] = {
        "schema_version": _OUTCOMES_BEFORE,
        "scenario_id": [outcome.scenario_id for outcome in outcomes],
        "family": [outcome.family for outcome in outcomes],
        "split": [outcome.split for outcome in outcomes],
        "kind": [outcome.kind for outcome in outcomes],
        "conduct": [outcome.conduct for outcome in outcomes],
        "truncated": [outcome.truncated for outcome in outcomes],
        "acted": [outcome.acted for outcome in outcomes],
        "labels": [sorted(outcome.labels) for outcome in outcomes],
        "cluster": [outcome.cluster for outcome in outcomes],
        "has_panel": [outcome.has_panel for outcome in outcomes],
        "opinion": [outcome.opinion for outcome in outcomes],
        "layers_disagree": [outcome.layers_disagree for outcome in outcomes],
    }
    if any(each.suite or each.evaluation_awareness is not None for each in outcomes):
        columns |= {
            "schema_version": _OUTCOMES_NOW,
            "suite": [outcome.suite for outcome in outcomes],
            "evaluation_awareness": [outcome.evaluation_awareness for outcome in outcomes],
        }
    return orjson.dumps(columns, option=orjson.OPT_SORT_KEYS)


def decode_outcomes(key: str, content: bytes, sha256: str) -> tuple[Outcome, ...]:
    """Read outcomes.

    Raises:
        StoredObjectCorrupt: they are none, or do not match the checksum of their record.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StoredObjectCorrupt(key, "its content does not match its checksum")
    file = _decode(key, content, _OutcomesFile)
    return tuple(
        # One by one and by name: a dictionary for each would cost twice the time.
        Outcome(
            scenario_id=row[0],
            family=row[1],
            split=row[2],
            kind=row[3],
            conduct=row[4],
            truncated=row[5],
            acted=row[6],
            labels=row[7],
            cluster=row[8],
            has_panel=row[9],
            opinion=row[10],
            layers_disagree=row[11],
            suite=row[12],
            evaluation_awareness=row[13],
        )
        for row in zip(
            file.scenario_id,
            file.family,
            file.split,
            file.kind,
            file.conduct,
            file.truncated,
            file.acted,
            file.labels,
            file.cluster,
            file.has_panel,
            file.opinion,
            file.layers_disagree,
            file.suite or [""] * len(file.scenario_id),
            file.evaluation_awareness or [None] * len(file.scenario_id),
            strict=True,
        )
    )


_ADDED: Final = {"suite", "with_awareness", "awareness_sum", "awareness_squares"}
"""Fields of a cell that records of version 1 have not; where they say nothing they are left out."""


def _plain(record: StoredRecord) -> Mapping[str, Any]:  # of the form that JSON knows
    plain = record.model_dump(mode="json")
    for parts in plain["cells"]:
        for part in parts:
            for name in _ADDED & part.keys():
                if not part[name]:
                    del part[name]
    return plain


def _decode(key: str, content: bytes, file: type[_FileT]) -> _FileT:
    try:
        return file.model_validate_json(content)
    except ValidationError as error:
        raise misshapen(key, error) from error
