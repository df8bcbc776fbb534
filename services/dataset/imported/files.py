"""Files of rows, read in blocks: JSONL by the lines, Parquet by its row groups.

A file is never held whole: one block is, and the places of all blocks are.
"""

import hashlib
import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from services.servicekit.errors import StoredObjectCorrupt

LINES_PER_BLOCK = 1024

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that is not even an object of its format."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row and where it stands."""

    number: int
    """From 1, as editors count lines."""
    value: object
    """What the format holds, or an UnreadableRow."""


class RowFile(Protocol):
    """A file of rows. Its methods block."""

    @property
    def block_sizes(self) -> Sequence[int]:
        """Rows of each block; none of them 0."""
        ...

    def read(self, block: int) -> Sequence[Row]:
        """Read the rows of a block, in the order of the file."""
        ...


class JsonLines:
    """A JSONL file; empty lines are no rows."""

    def __init__(self, path: Path) -> None:
        """Find the blocks."""
        self._path = path
        self._offsets = array("Q")
        self._first_lines = array("Q")
        sizes = array("Q")
        with path.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    if not sizes or sizes[-1] == LINES_PER_BLOCK:
                        self._offsets.append(offset)
                        self._first_lines.append(number)
                        sizes.append(0)
                    sizes[-1] += 1
                offset += len(line)
        self.block_sizes: Sequence[int] = sizes

    def read(self, block: int) -> Sequence[Row]:
        """Read the rows of a block."""
        rows: list[Row] = []
        with self._path.open("rb") as file:
            file.seek(self._offsets[block])
            for number, line in enumerate(file, start=self._first_lines[block]):
                if line.strip():
                    rows.append(Row(number=number, value=_json(line)))
                if len(rows) == self.block_sizes[block]:
                    break
        return rows


class Parquet:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        """Read the footer.

        Raises:
            StoredObjectCorrupt: the file is no Parquet.
        """
        # The library costs 60 MiB, and only imports of Parquet need it.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise StoredObjectCorrupt(path.name, f"no Parquet: {error}") from error
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._groups = [group for group, size in enumerate(sizes) if size]
        self._first_rows = [sum(sizes[:group]) + 1 for group in self._groups]
        self.block_sizes: Sequence[int] = [sizes[group] for group in self._groups]

    def read(self, block: int) -> Sequence[Row]:
        """Read the rows of a row group."""
        values = self._file.read_row_group(self._groups[block]).to_pylist()
        first = self._first_rows[block]
        return [Row(number=number, value=value) for number, value in enumerate(values, start=first)]


def open_rows(path: Path) -> RowFile:
    """Open a file by its suffix.

    Raises:
        StoredObjectCorrupt: the file is neither JSONL nor Parquet.
        OSError: the file cannot be read.
    """
    match path.suffix:
        case ".jsonl" | ".ndjson":
            return JsonLines(path)
        case ".parquet":
            return Parquet(path)
    raise StoredObjectCorrupt(path.name, "must end in .jsonl, .ndjson or .parquet")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits; read once for each state of the file."""
    facts = path.stat()
    return _file_digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_digest(path: Path, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _json(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return UnreadableRow(f"is no JSON: {error}")
