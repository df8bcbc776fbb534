"""Reading shards of examples. Knows the columns, neither tokens nor budgets."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.training.errors import DataUnusable

_COLUMNS = ("id", "form", "text", "messages", "tools")
_ROWS_PER_READ = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A text with a loss everywhere."""

    where: str
    """File and id, for error messages."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRow:
    """A conversation with a loss on the assistant's tokens."""

    where: str
    messages: tuple[dict[str, str], ...]
    """In the form that chat templates read: role, content and, where not empty, name."""
    tools: tuple[dict[str, object], ...]
    """OpenAI tool definitions."""


ShardRow = DocumentRow | ChatRow


def read_rows(directory: Path) -> Iterator[ShardRow]:
    """Yield the examples of a directory, file by file in the order of their names.

    Raises:
        DataUnusable: no shard, an unreadable shard, or a row that has no content.
    """
    shards = sorted(directory.glob("*.parquet"))
    if not shards:
        raise DataUnusable(f"{directory}: holds no *.parquet shard")
    for shard in shards:
        yield from _rows_of(shard)


def _rows_of(shard: Path) -> Iterator[ShardRow]:
    try:
        with pq.ParquetFile(shard) as file:
            missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise DataUnusable(f"{shard}: has no column {', '.join(missing)}")
            for batch in file.iter_batches(batch_size=_ROWS_PER_READ, columns=list(_COLUMNS)):
                columns = [batch.column(name).to_pylist() for name in _COLUMNS]
                for identity, form, text, messages, tools in zip(*columns, strict=True):
                    yield _row(f"{shard} {identity}", form, text, messages, tools)
    except (pa.ArrowException, OSError) as error:
        raise DataUnusable(f"{shard}: cannot be read: {error}") from error


def _row(
    where: str,
    form: str,
    text: str | None,
    messages: list[dict[str, str | None]] | None,
    tools: str | None,
) -> ShardRow:
    if form == "document" and text:
        return DocumentRow(where=where, text=text)
    if form == "chat" and messages:
        return ChatRow(
            where=where,
            messages=tuple(
                {"content": ""} | {key: value for key, value in each.items() if value}
                for each in messages
            ),
            tools=tuple(_tools_from(where, tools)) if tools else (),
        )
    raise DataUnusable(
        f'{where}: form must be "document" with a text or "chat" with messages, got "{form}"'
    )


def _tools_from(where: str, tools: str) -> list[dict[str, object]]:
    try:
        parsed = json.loads(tools)
    except ValueError as error:
        raise DataUnusable(f"{where}: tools is no JSON: {error}") from error
    if not isinstance(parsed, list) or not all(isinstance(tool, dict) for tool in parsed):
        raise DataUnusable(f"{where}: tools must be a JSON list of objects")
    return parsed
