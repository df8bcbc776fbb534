"""Carries out AuditDataset: reads the stream, has the gates look at it, writes the report."""

from collections.abc import AsyncIterable, Container, Iterable

from teachwhy.dataset.v1 import audit_pb2

from services.dataset.audit_convert import (
    examples_from_proto,
    report_to_proto,
    settings_from_proto,
)
from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.settings import AuditSettings
from services.dataset.grading import Grader
from services.dataset.metrics import count_audit
from services.servicekit.errors import InvalidField

_BEFORE_THE_FIRST = -1
_OTHER_RECIPE = "other"
"""What metrics call a recipe that the room does not have: callers name recipes as they like."""


async def audit_dataset(
    requests: AsyncIterable[audit_pb2.AuditDatasetRequest],
    grader: Grader | None,
    recipes: Container[str] = (),
) -> audit_pb2.AuditDatasetResponse:
    """Audit a dataset as it streams in, and count it by the recipe of its first example.

    Args:
        requests: settings, then examples.
        grader: None where no judge is set up.
        recipes: names of the room's recipes.

    Raises:
        InvalidField: the stream or its settings are not what the contract says.
        NotConfigured: the quality gate is asked for and there is no grader.
        ServiceError: the judge's own errors, as `Grader.grade_texts` raises them.
    """
    # numpy and datasketch come with the gates; a room that audits nothing does without them.
    from services.dataset.gates.audit import Audit  # noqa: PLC0415

    audit: Audit | None = None
    last_index, recipe = _BEFORE_THE_FIRST, _OTHER_RECIPE
    try:
        async for request in requests:
            if audit is None:
                audit = Audit(_settings(request), grader)
                continue
            match request.WhichOneof("content"):
                case "examples":
                    batch = examples_from_proto(
                        request.examples.examples, field="examples.examples"
                    )
                    if last_index == _BEFORE_THE_FIRST:
                        recipe = _recipe_of(request.examples, recipes)
                    last_index = _checked_order(batch, last_index)
                    await audit.add(batch)
                case "contrast":
                    batch = examples_from_proto(
                        request.contrast.examples, field="contrast.examples"
                    )
                    await audit.add_contrast(batch)
                case "settings":
                    raise InvalidField.at("settings", "must stand in the first message alone")
                case _:
                    raise InvalidField.at("content", "must be examples or contrast")
        if audit is None:
            raise InvalidField.at("settings", "is required, in the first message")
        report = await audit.report()
        count_audit(recipe, report.gates)
        return report_to_proto(report)
    finally:
        if audit is not None:
            await audit.aclose()


def _settings(request: audit_pb2.AuditDatasetRequest) -> AuditSettings:
    if request.WhichOneof("content") != "settings":
        raise InvalidField.at("settings", "is required, in the first message")
    return settings_from_proto(request.settings)


def _recipe_of(batch: audit_pb2.ExampleBatch, recipes: Container[str]) -> str:
    name = batch.examples[0].lineage.recipe if batch.examples else ""
    return name if name in recipes else _OTHER_RECIPE


def _checked_order(batch: Iterable[AuditedExample], last_index: int) -> int:
    for position, example in enumerate(batch):
        if example.index <= last_index:
            allowed = "0 or more" if last_index == _BEFORE_THE_FIRST else f"above {last_index}"
            raise InvalidField.at(
                f"examples.examples[{position}].index",
                f"must be {allowed}, as indices ascend, got {example.index}",
            )
        last_index = example.index
    return last_index
