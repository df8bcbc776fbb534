"""Parquet shards: how examples, episodes and verdicts lie in the store.

A shard holds a fixed number of consecutive items, so the same stream always makes the
same shards, wherever it was cut and resumed. Columns are for people and tools; the
column ``record`` of episodes and verdicts is the exact protobuf message.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from teachwhy.common.v1 import conversation_pb2
from teachwhy.dataset.v1 import example_pb2
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, scenario_pb2

from pipelines.enum_word import enum_word
from pipelines.experiment.episode_tallies import took_bait, used_safe_channel
from pipelines.experiment.verdict_rows import verdict_row

EXAMPLES_PER_SHARD = 8192
EPISODES_PER_SHARD = 256

_ROLES = {
    conversation_pb2.ROLE_SYSTEM: "system",
    conversation_pb2.ROLE_USER: "user",
    conversation_pb2.ROLE_ASSISTANT: "assistant",
    conversation_pb2.ROLE_TOOL: "tool",
}
_ROLES_BY_NAME = {name: role for role, name in _ROLES.items()}


def schema(**fields: pa.DataType) -> pa.Schema:
    """Make a schema of columns that may all be null."""
    return pa.schema([pa.field(name, kind) for name, kind in fields.items()])


_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string())])

EXAMPLE_SCHEMA = schema(
    index=pa.int64(),
    id=pa.string(),
    form=pa.string(),
    text=pa.string(),
    messages=pa.list_(_MESSAGE),
    tools=pa.string(),
    num_tokens=pa.int64(),
    cumulative_tokens=pa.int64(),
    recipe=pa.string(),
    recipe_revision=pa.string(),
    clause=pa.string(),
    family=pa.string(),
    author=pa.string(),
    is_temptation=pa.bool_(),
)
"""One training example a row: ``text`` for documents, ``messages`` for chats."""

EPISODE_SCHEMA = schema(
    index=pa.int64(),
    id=pa.string(),
    model=pa.string(),
    scenario_id=pa.string(),
    suite=pa.string(),
    family=pa.string(),
    split=pa.string(),
    kind=pa.string(),
    object=pa.string(),
    cluster=pa.string(),
    levels=pa.string(),
    state=pa.string(),
    took_bait=pa.bool_(),
    used_safe_channel=pa.bool_(),
    situation=pa.string(),
    reply=pa.string(),
    calls=pa.list_(pa.string()),
    record=pa.binary(),
)
"""One episode a row; ``record`` is a ``teachwhy.rollout.v1.Episode``."""

VERDICT_SCHEMA = schema(
    index=pa.int64(),
    episode_id=pa.string(),
    rubric=pa.string(),
    rubric_revision=pa.string(),
    judge=pa.string(),
    outcome=pa.string(),
    conduct=pa.string(),
    rationale=pa.string(),
    takes_bait=pa.string(),
    lowest=pa.string(),
    highest=pa.string(),
    agreement=pa.float64(),
    disagrees_with_ledger=pa.bool_(),
    num_answers=pa.int64(),
    num_opinions=pa.int64(),
    record=pa.binary(),
)
"""One verdict a row; ``record`` is a ``teachwhy.judge.v1.Verdict``.

From ``takes_bait`` on they say what a panel's opinions come to, and are null where none was asked;
grades and agreement are null, too, where none of it answered.
"""


def shard_name(kind: str, number: int) -> str:
    """Name of shard ``number`` of ``kind``. Example: "examples-00003.parquet"."""
    return f"{kind}-{number:05d}.parquet"


def shard_number(name: str) -> int:
    """Read the number off the name of a shard."""
    return int(name.rpartition("-")[2].partition(".")[0])


def encode_examples(examples: Sequence[example_pb2.Example]) -> bytes:
    """Write examples as one Parquet file with ``EXAMPLE_SCHEMA``."""
    rows = [example_row(example) for example in examples]
    return encode_rows(rows, EXAMPLE_SCHEMA)


def encode_episodes(episodes: Sequence[episode_pb2.Episode]) -> bytes:
    """Write episodes as one Parquet file with ``EPISODE_SCHEMA``."""
    return encode_rows([_episode_row(episode) for episode in episodes], EPISODE_SCHEMA)


def decode_episodes(content: bytes) -> list[episode_pb2.Episode]:
    """Read the exact messages that ``encode_episodes`` wrote."""
    return [episode_pb2.Episode.FromString(record) for record in _records(content)]


def encode_verdicts(verdicts: Sequence[verdict_pb2.Verdict], *, first_index: int) -> bytes:
    """Write verdicts as one Parquet file with ``VERDICT_SCHEMA``."""
    rows = [verdict_row(first_index + i, verdict) for i, verdict in enumerate(verdicts)]
    return encode_rows(rows, VERDICT_SCHEMA)


def decode_verdicts(content: bytes) -> list[verdict_pb2.Verdict]:
    """Read the exact messages that ``encode_verdicts`` wrote."""
    return [verdict_pb2.Verdict.FromString(record) for record in _records(content)]


def last_position(content: bytes) -> tuple[int, int]:
    """Index and cumulative tokens of the last example of a shard."""
    table = pq.read_table(io.BytesIO(content), columns=["index", "cumulative_tokens"])
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    return int(last["index"]), int(last["cumulative_tokens"])


def decode_examples(content: bytes) -> list[example_pb2.Example]:
    """Read examples back from their columns, as far as these say.

    Content, position, id and the lineage's recipe, clause and author come back; tools and the
    replies an example was made from do not.
    """
    columns = [
        "index",
        "id",
        "text",
        "messages",
        "num_tokens",
        "cumulative_tokens",
        "recipe",
        "recipe_revision",
        "clause",
        "family",
        "author",
        "is_temptation",
    ]
    table = pq.read_table(io.BytesIO(content), columns=columns)
    return [_example(row) for row in table.to_pylist()]


def _example(row: Mapping[str, Any]) -> example_pb2.Example:
    lineage = {name: row[name] for name in ("recipe", "recipe_revision", "clause", "family")}
    example = example_pb2.Example(
        index=row["index"],
        id=row["id"],
        num_tokens=row["num_tokens"],
        cumulative_tokens=row["cumulative_tokens"],
        lineage=example_pb2.Lineage(
            **lineage, author=row["author"], is_temptation=row["is_temptation"]
        ),
    )
    if row["messages"] is None:
        example.document = row["text"]
    else:
        for turn in row["messages"]:
            example.chat.messages.add(
                role=_ROLES_BY_NAME[turn["role"]],
                content=turn["content"],
                name=turn.get("name") or "",
            )
    return example


def _records(content: bytes) -> Iterable[bytes]:
    table = pq.read_table(io.BytesIO(content), columns=["record"])
    return (value.as_py() for value in table.column("record"))


def encode_rows(rows: Sequence[Mapping[str, object]], columns: pa.Schema) -> bytes:
    """Write rows as one Parquet file."""
    sink = io.BytesIO()
    # The same rows must give the same bytes, so nothing about the writer is stored.
    pq.write_table(
        pa.Table.from_pylist(list(rows), schema=columns),
        sink,
        compression="zstd",
        store_schema=False,
    )
    return sink.getvalue()


def example_row(example: example_pb2.Example) -> dict[str, object]:
    """Make the row of ``EXAMPLE_SCHEMA`` that holds an example."""
    is_chat = example.WhichOneof("content") == "chat"
    tools = [_openai_tool(tool) for tool in example.chat.tools]
    return {
        "index": example.index,
        "id": example.id,
        "form": "chat" if is_chat else "document",
        "text": None if is_chat else example.document,
        "messages": [_message(turn) for turn in example.chat.messages] if is_chat else None,
        "tools": json.dumps(tools) if tools else None,
        "num_tokens": example.num_tokens,
        "cumulative_tokens": example.cumulative_tokens,
        "recipe": example.lineage.recipe,
        "recipe_revision": example.lineage.recipe_revision,
        "clause": example.lineage.clause,
        "family": example.lineage.family,
        "author": example.lineage.author,
        "is_temptation": example.lineage.is_temptation,
    }


def _message(message: conversation_pb2.Message) -> dict[str, str]:
    return {"role": _ROLES[message.role], "content": message.content, "name": message.name}


def _openai_tool(tool: conversation_pb2.ToolDefinition) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json_schema:
        function["parameters"] = json.loads(tool.parameters_json_schema)
    return {"type": "function", "function": function}


def _episode_row(episode: episode_pb2.Episode) -> dict[str, object]:
    scenario = episode.scenario
    replies = [m.content for m in episode.transcript if m.role == conversation_pb2.ROLE_ASSISTANT]
    return {
        "index": episode.index,
        "id": episode.id,
        "model": episode.target.model,
        "scenario_id": scenario.id,
        "suite": scenario.suite,
        "family": scenario.family,
        "split": enum_word(scenario_pb2.Split, scenario.split),
        "kind": enum_word(scenario_pb2.ScenarioKind, scenario.kind),
        "object": scenario.object,
        "cluster": scenario.cluster,
        "levels": json.dumps({each.axis: each.level for each in scenario.levels}),
        "state": enum_word(episode_pb2.EpisodeState, episode.state),
        "took_bait": took_bait(episode),
        "used_safe_channel": used_safe_channel(episode),
        "situation": "\n".join(message.content for message in scenario.opening),
        "reply": replies[-1] if replies else "",
        "calls": [f"{entry.tool} {entry.arguments_json}" for entry in episode.ledger],
        "record": episode.SerializeToString(deterministic=True),
    }
