"""Drafts: every item that the dataset room sent, as it came, before any gate.

A draft is a list of items in ascending index without gaps, each an example or a
rejection. It grows by shards and never has an end of its own: it is long enough when
its examples hold enough tokens.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2

from pipelines.experiment.shards import schema, shard_name
from pipelines.outputs import Output
from services.servicekit.errors import StoredObjectCorrupt

ITEMS_PER_SHARD = 512

Item = dataset_service_pb2.DatasetItem

_SCHEMA = schema(
    index=pa.int64(), outcome=pa.string(), cumulative_tokens=pa.int64(), record=pa.binary()
)
"""``record`` is the exact ``teachwhy.dataset.v1.DatasetItem``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a stream has come."""

    next_index: int = 0
    tokens: int = 0
    """Cumulative tokens of the examples among the items so far."""

    def behind(self, item: Item) -> Position:
        """Return the position behind ``item``, which must be the next."""
        index = index_of(item)
        if index != self.next_index:
            raise RuntimeError(
                f"the dataset room sent item {index} where {self.next_index} was due"
            )
        is_example = item.WhichOneof("item") == "example"
        tokens = item.example.cumulative_tokens if is_example else self.tokens
        return Position(next_index=index + 1, tokens=tokens)


def index_of(item: Item) -> int:
    """Number of an item, from 0."""
    match item.WhichOneof("item"):
        case "example":
            return item.example.index
        case "rejection":
            return item.rejection.index
        case _:
            raise RuntimeError("the dataset room sent an item that is neither kind")


def lineage_of(item: Item) -> example_pb2.Lineage:
    """Where an item comes from."""
    is_example = item.WhichOneof("item") == "example"
    return item.example.lineage if is_example else item.rejection.lineage


class Draft:
    """The items of one dataset under a prefix of the store. Blocking."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._pending: list[Item] = []
        """Items of the last shard while it may still grow."""
        self.position = Position()
        self._committed = 0

    def open(self) -> None:
        """Find out how far the draft has come.

        Raises:
            StoredObjectCorrupt: its last shard cannot be read.
        """
        if names := self._names():
            last = self._read(names[-1])
            self.position, _ = last[-1]
            self._committed = self.position.next_index
            if len(last) < ITEMS_PER_SHARD:
                self._pending = [item for _, item in last]

    def add(self, item: Item) -> bool:
        """Take the next item; return whether a shard is full and must be committed."""
        self.position = self.position.behind(item)
        self._pending.append(item)
        return len(self._pending) == ITEMS_PER_SHARD

    def commit(self) -> None:
        """Write what was added since the last commit; the last shard may grow later."""
        if self.position.next_index == self._committed:
            return
        number = index_of(self._pending[0]) // ITEMS_PER_SHARD
        content = _encode(self._pending, end=self.position.tokens)
        self._output.store.put(self._output.key(shard_name("items", number)), content)
        self._committed = self.position.next_index
        if len(self._pending) == ITEMS_PER_SHARD:
            self._pending = []

    def items(self) -> Iterator[Item]:
        """Read the committed items in order, one shard in memory at a time."""
        for name in self._names():
            for _, item in self._read(name):
                yield item

    def _names(self) -> list[str]:
        return [name for name in self._output.file_names() if name.startswith("items-")]

    def _read(self, name: str) -> list[tuple[Position, Item]]:
        key = self._output.key(name)
        content = self._output.store.get(key)
        try:
            table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
            rows = [
                (
                    Position(next_index=row["index"] + 1, tokens=row["cumulative_tokens"]),
                    Item.FromString(row["record"]),
                )
                for row in table.to_pylist()
            ]
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise StoredObjectCorrupt(key, f"is no shard of a draft: {error}") from error
        if not rows:
            raise StoredObjectCorrupt(key, "is a shard without items")
        return rows


def _encode(items: Sequence[Item], *, end: int) -> bytes:
    rows, tokens = [], end
    for item in reversed(items):
        kind = item.WhichOneof("item")
        if kind == "example":
            tokens = item.example.cumulative_tokens
        rows.append(
            {
                "index": index_of(item),
                "outcome": kind,
                "cumulative_tokens": tokens,
                "record": item.SerializeToString(deterministic=True),
            }
        )
        if kind == "example":
            tokens -= item.example.num_tokens
    table = pa.Table.from_pylist(rows[::-1], schema=_SCHEMA)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False, write_page_checksum=True)
    return sink.getvalue()
