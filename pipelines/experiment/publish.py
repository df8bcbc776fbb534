"""Publishes a draft that passed its gates: examples, rejections, what was dropped, a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from teachwhy.dataset.v1 import audit_pb2, example_pb2

from pipelines.experiment.dataset_card import Provenance, dataset_card
from pipelines.experiment.dataset_facts import DatasetFacts
from pipelines.experiment.drafts import Draft
from pipelines.experiment.generate import dataset_parameters
from pipelines.experiment.published_shards import (
    encode_dropped,
    encode_published,
    encode_rejections,
)
from pipelines.experiment.shards import shard_name
from pipelines.experiment.steps import DatasetStep
from pipelines.outputs import Output

ROWS_PER_SHARD = 4096

Row = TypeVar("Row")


def publish_dataset(
    step: DatasetStep,
    output: Output,
    draft: Draft,
    report: audit_pb2.AuditDatasetResponse,
    provenance: Provenance,
) -> None:
    """Publish the examples that ``report`` keeps, up to the one that reaches the budget.

    Blocking. A publication that was interrupted is begun anew.

    Args:
        step: what was asked for.
        output: where to; complete when this returns.
        draft: what was written.
        report: what the gates said of it.
        provenance: what the card tells beside the counts.
    """
    for name in output.file_names():
        output.store.delete(output.key(name))
    facts = DatasetFacts()
    dropped = {each.index for each in report.dropped}
    for item in draft.items():
        facts.add(item, noted=dropped)
    for example in _published(draft, dropped, step.tokens):
        facts.add_published(example)
    kept = _published(draft, dropped, step.tokens)
    _put_shards(output, "examples", kept, lambda rows: encode_published(rows, facts.fields))
    _put_shards(output, "rejections/rejections", _rejections(draft), encode_rejections)
    _put_shards(
        output,
        "dropped/dropped",
        report.dropped,
        lambda rows: encode_dropped(rows, facts.places),
    )
    output.store.put(output.key("audit.json"), as_json(report))
    if provenance.clauses is not None:
        output.store.put(output.key("clauses.json"), as_json(provenance.clauses))
    card = dataset_card(step, facts, report, provenance)
    output.store.put(output.key("README.md"), card.encode())
    output.publish(
        kind="dataset",
        digest=step.digest,
        parameters=dataset_parameters(step),
        inputs={
            "draft": step.draft,
            **{f"contrast/{i}": each.digest for i, each in enumerate(step.contrast)},
        },
        counts={
            "examples": facts.published,
            "tokens": facts.published_tokens,
            "items": facts.items,
            "rejected": facts.rejected,
            "dropped": len(report.dropped),
            "author_tokens": facts.author_tokens,
        },
        written=output.file_names(),
    )


def as_json(message: Message) -> bytes:
    """Write a message as JSON for people and programs, fields named as in the contract."""
    content = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _published(draft: Draft, dropped: set[int], tokens: int) -> Iterator[example_pb2.Example]:
    """Examples that are kept, their tokens counted anew, up to the one that reaches the budget."""
    cumulative = 0
    for item in draft.items():
        if item.WhichOneof("item") != "example" or item.example.index in dropped:
            continue
        if cumulative >= tokens:
            return
        cumulative += item.example.num_tokens
        item.example.cumulative_tokens = cumulative
        yield item.example


def _rejections(draft: Draft) -> Iterator[example_pb2.Rejection]:
    return (item.rejection for item in draft.items() if item.WhichOneof("item") == "rejection")


def _put_shards(
    output: Output, kind: str, rows: Iterable[Row], encode: Callable[[list[Row]], bytes]
) -> None:
    remaining = iter(rows)
    number = 0
    while shard := list(islice(remaining, ROWS_PER_SHARD)):
        output.store.put(output.key(shard_name(kind, number)), encode(shard))
        number += 1
