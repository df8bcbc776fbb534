"""Audits: sends a draft's examples through the gates of the dataset room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

from teachwhy.dataset.v1 import audit_pb2, example_pb2

from pipelines.experiment.drafts import Draft
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.shards import decode_examples
from pipelines.outputs import Output

EXAMPLES_PER_BATCH = 256
BATCH_BYTES = 4 * 2**20
"""Well below the message limit of the room."""


class DatasetNotPublished(Exception):
    """A gate failed. The message names dataset, gate, measure and limit, and what would help."""


async def audit_draft(
    draft: Draft,
    settings: audit_pb2.AuditSettings | None,
    contrast: Iterable[Output],
    rooms: Rooms,
) -> audit_pb2.AuditDatasetResponse:
    """Check all examples of a draft; without settings, all of them pass.

    Args:
        draft: what was written.
        settings: gates and limits.
        contrast: published datasets that it is told from.
        rooms: the dataset room is asked.
    """
    if settings is None:
        return await asyncio.to_thread(_all_pass, draft)
    others = list(contrast)

    async def requests() -> AsyncIterator[audit_pb2.AuditDatasetRequest]:
        told = audit_pb2.AuditSettings()
        told.CopyFrom(settings)
        if not others:
            told.ClearField("shortcuts")
        yield audit_pb2.AuditDatasetRequest(settings=told)
        batches = _batches(_examples(draft))
        while batch := await asyncio.to_thread(next, batches, None):
            yield audit_pb2.AuditDatasetRequest(examples=batch)
        batches = _batches(_contrast(others))
        while batch := await asyncio.to_thread(next, batches, None):
            yield audit_pb2.AuditDatasetRequest(contrast=batch)

    return await rooms.patiently("dataset", lambda: rooms.dataset.AuditDataset(requests()))


def refusal(label: str, report: audit_pb2.AuditDatasetResponse, path: str) -> str:
    """Say why a dataset is not published, and what would help."""
    lines = []
    for gate in report.gates:
        if not gate.ran or gate.passed:
            continue
        lines.append(
            f"dataset {label} is not published: it fails the gate {gate.gate} "
            f"({gate.dropped} of {gate.checked} examples dropped)"
        )
        untold = [each for each in gate.measures if each.name not in gate.explanation]
        lines += [f"  {line}" for line in map(_excess, untold) if line]
        if gate.explanation:
            lines.append(f"  {gate.explanation}")
    lines.append(
        f"the report is {path}; what was written is kept, so after a change of `gates` the next "
        "run only audits again, and after a change of the recipe's options it writes anew"
    )
    return "\n".join(lines)


def _excess(measure: audit_pb2.GateMeasure) -> str:
    """What is wrong with a measure; empty where it is within its limits."""
    evidence = f" ({measure.evidence})" if measure.evidence else ""
    if measure.HasField("max") and measure.value > measure.max:
        return f"{measure.name} is {measure.value:.4g}, at most {measure.max:g} passes{evidence}"
    if measure.HasField("min") and measure.value < measure.min:
        return f"{measure.name} is {measure.value:.4g}, at least {measure.min:g} passes{evidence}"
    return ""


def _all_pass(draft: Draft) -> audit_pb2.AuditDatasetResponse:
    report = audit_pb2.AuditDatasetResponse(passed=True)
    for example in _examples(draft):
        report.kept += 1
        report.kept_tokens += example.num_tokens
        report.kept_by_clause[example.lineage.clause] += 1
    return report


def _examples(draft: Draft) -> Iterator[example_pb2.Example]:
    return (item.example for item in draft.items() if item.WhichOneof("item") == "example")


def _contrast(outputs: Iterable[Output]) -> Iterator[example_pb2.Example]:
    for output in outputs:
        for content in output.read_all(prefix="examples-").values():
            yield from decode_examples(content)


def _batches(examples: Iterable[example_pb2.Example]) -> Iterator[audit_pb2.ExampleBatch]:
    batch, size = audit_pb2.ExampleBatch(), 0
    for example in examples:
        if len(batch.examples) == EXAMPLES_PER_BATCH or (
            batch.examples and size + example.ByteSize() > BATCH_BYTES
        ):
            yield batch
            batch, size = audit_pb2.ExampleBatch(), 0
        batch.examples.append(example)
        size += example.ByteSize()
    if batch.examples:
        yield batch
