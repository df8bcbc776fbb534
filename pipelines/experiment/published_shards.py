"""Columns of published language data: examples that train as they are, and what became none.

A chat is `messages` and `tools`, a document is `text`, as `datasets` loads and TRL trains
them. Fields of a message that no example of the dataset uses are no columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from teachwhy.common.v1 import conversation_pb2
from teachwhy.dataset.v1 import audit_pb2, example_pb2

from pipelines.enum_word import enum_word
from pipelines.experiment.shards import EXAMPLE_SCHEMA, encode_rows, example_row, schema

_STAGES = pa.list_(
    pa.struct(
        [
            ("stage", pa.string()),
            ("prompt_version", pa.string()),
            ("endpoint", pa.string()),
            ("model", pa.string()),
            ("model_revision", pa.string()),
            ("reply_key", pa.string()),
            ("text_digest", pa.string()),
            ("input_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("cost_usd", pa.float64()),
        ]
    )
)
_LINEAGE: dict[str, pa.DataType] = {
    "constitution_digest": pa.string(),
    "draws": pa.string(),
    "cost_usd": pa.float64(),
    "stages": _STAGES,
}
_TOOL_CALL = pa.struct(
    [
        ("id", pa.string()),
        ("type", pa.string()),
        ("function", pa.struct([("name", pa.string()), ("arguments", pa.string())])),
    ]
)

REJECTION_SCHEMA = schema(
    index=pa.int64(),
    stage=pa.string(),
    reason=pa.string(),
    detail=pa.string(),
    clause=pa.string(),
    **_LINEAGE,
)
"""One item a row that became no example."""

DROPPED_SCHEMA = schema(
    index=pa.int64(), id=pa.string(), gate=pa.string(), detail=pa.string(), clause=pa.string()
)
"""One example a row that a gate turned down. Its text is not kept here."""


@dataclass(frozen=True, slots=True)
class MessageFields:
    """Which fields of messages a dataset uses beside role and content."""

    name: bool = False
    tool_calls: bool = False
    reasoning: bool = False

    def with_example(self, example: example_pb2.Example) -> MessageFields:
        """Return what is used when ``example`` joins the dataset."""
        turns = example.chat.messages
        return MessageFields(
            name=self.name or any(turn.name for turn in turns),
            tool_calls=self.tool_calls
            or any(turn.tool_calls or turn.tool_call_id for turn in turns),
            reasoning=self.reasoning or any(turn.reasoning for turn in turns),
        )

    def columns(self) -> pa.Schema:
        """Make the schema of examples whose messages have these fields."""
        fields: list[tuple[str, pa.DataType]] = [("role", pa.string()), ("content", pa.string())]
        if self.name:
            fields.append(("name", pa.string()))
        if self.tool_calls:
            fields += [("tool_calls", pa.list_(_TOOL_CALL)), ("tool_call_id", pa.string())]
        if self.reasoning:
            fields.append(("reasoning_content", pa.string()))
        at = EXAMPLE_SCHEMA.get_field_index("messages")
        columns = EXAMPLE_SCHEMA.set(at, pa.field("messages", pa.list_(pa.struct(fields))))
        for name, kind in _LINEAGE.items():
            columns = columns.append(pa.field(name, kind))
        return columns

    def message(self, turn: conversation_pb2.Message, role: str) -> dict[str, object]:
        """Make the row of a message."""
        row: dict[str, object] = {"role": role, "content": turn.content}
        if self.name:
            row["name"] = turn.name or None
        if self.tool_calls:
            row["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.tool, "arguments": call.arguments_json},
                }
                for call in turn.tool_calls
            ] or None
            row["tool_call_id"] = turn.tool_call_id or None
        if self.reasoning:
            row["reasoning_content"] = turn.reasoning or None
        return row


def encode_published(examples: Sequence[example_pb2.Example], fields: MessageFields) -> bytes:
    """Write examples with their whole lineage as one Parquet file."""
    rows = []
    for example in examples:
        row = {**example_row(example), **_lineage_row(example.lineage)}
        if messages := row["messages"]:
            assert isinstance(messages, list), "a chat has messages"
            row["messages"] = [
                fields.message(turn, plain["role"])
                for turn, plain in zip(example.chat.messages, messages, strict=True)
            ]
        rows.append(row)
    return encode_rows(rows, fields.columns())


def encode_rejections(rejections: Iterable[example_pb2.Rejection]) -> bytes:
    """Write rejected items with ``REJECTION_SCHEMA``."""
    rows = [
        {
            "index": rejection.index,
            "stage": rejection.stage,
            "reason": reason_word(rejection.reason),
            "detail": rejection.detail,
            "clause": rejection.lineage.clause,
            **_lineage_row(rejection.lineage),
        }
        for rejection in rejections
    ]
    return encode_rows(rows, REJECTION_SCHEMA)


def encode_dropped(
    dropped: Iterable[audit_pb2.DroppedExample], examples: Mapping[int, tuple[str, str]]
) -> bytes:
    """Write dropped examples with ``DROPPED_SCHEMA``; ``examples`` has id and clause by index."""
    rows = []
    for each in dropped:
        identity, clause = examples[each.index]
        rows.append(
            {
                "index": each.index,
                "id": identity,
                "gate": each.gate,
                "detail": each.detail,
                "clause": clause,
            }
        )
    return encode_rows(rows, DROPPED_SCHEMA)


def reason_word(reason: example_pb2.RejectionReason.ValueType) -> str:
    """Write a reason for people and columns. Example: "scaffold_leak"."""
    return enum_word(example_pb2.RejectionReason, reason)


def _lineage_row(lineage: example_pb2.Lineage) -> dict[str, object]:
    return {
        "constitution_digest": lineage.constitution_digest,
        "draws": json.dumps(dict(lineage.draws), sort_keys=True, ensure_ascii=False),
        "cost_usd": lineage.cost_usd,
        "stages": [
            {
                "stage": record.stage,
                "prompt_version": record.prompt_version,
                "endpoint": record.model.endpoint,
                "model": record.model.model,
                "model_revision": record.model_revision,
                "reply_key": record.reply_key,
                "text_digest": record.text_digest,
                "input_tokens": record.usage.input_tokens,
                "output_tokens": record.usage.output_tokens,
                "cost_usd": record.cost_usd,
            }
            for record in lineage.stages
        ],
    }
