"""Reading shards of examples. Knows the columns, neither tokens nor budgets."""

import json
from collections.abc import Iterator, Mapping
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
    messages: tuple[dict[str, object], ...]
    """In the form that chat templates read: role, content and, where not empty, name,
    reasoning_content, tool_call_id and tool_calls (of OpenAI, with parsed arguments)."""
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
    messages: list[dict[str, object]] | None,
    tools: str | None,
) -> ShardRow:
    if form == "document" and text:
        return DocumentRow(where=where, text=text)
    if form == "chat" and messages:
        return ChatRow(
            where=where,
            messages=tuple(_message(f"{where}: message {at}", m) for at, m in enumerate(messages)),
            tools=tuple(_objects_from(f"{where}: tools", tools)) if tools else (),
        )
    raise DataUnusable(
        f'{where}: form must be "document" with a text or "chat" with messages, got "{form}"'
    )


def _message(where: str, columns: Mapping[str, object]) -> dict[str, object]:
    filled = {name: value for name, value in columns.items() if value}
    if "role" not in filled:
        raise DataUnusable(f"{where} has no role")
    reasoning = filled.pop("reasoning", None) or filled.pop("reasoning_content", None)
    calls = filled.pop("tool_calls", None)
    message: dict[str, object] = {"content": ""} | filled
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [_tool_call(where, call) for call in _calls_from(where, calls)]
    return message


def _calls_from(where: str, calls: object) -> list[dict[str, object]]:
    if isinstance(calls, str):
        return _objects_from(f"{where}: tool_calls", calls)
    if isinstance(calls, list) and all(isinstance(call, dict) for call in calls):
        return calls
    raise DataUnusable(f"{where}: tool_calls must be a list of objects")


def _tool_call(where: str, call: Mapping[str, object]) -> dict[str, object]:
    """Bring a call of ours (tool, arguments_json) or of OpenAI (function) into OpenAI's form."""
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    name = named.get("name") or named.get("tool")
    if not isinstance(name, str):
        raise DataUnusable(f"{where}: a tool call has no name")
    arguments = named.get("arguments") or named.get("arguments_json") or {}
    if isinstance(arguments, str):
        # Templates print the arguments themselves: a text would be quoted a second time.
        arguments = _json(f"{where}: arguments of {name}", arguments)
    if not isinstance(arguments, dict):
        raise DataUnusable(f"{where}: arguments of {name} must be a JSON object")
    made: dict[str, object] = {
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    return {"id": call["id"], **made} if call.get("id") else made


def _objects_from(where: str, text: str) -> list[dict[str, object]]:
    parsed = _json(where, text)
    if not isinstance(parsed, list) or not all(isinstance(each, dict) for each in parsed):
        raise DataUnusable(f"{where} must be a JSON list of objects")
    return parsed


def _json(where: str, text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except ValueError as error:
        raise DataUnusable(f"{where}: is no JSON: {error}") from error
    return parsed
