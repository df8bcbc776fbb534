"""Write one dataset: draft, audit, and publication or a refusal."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import grpc
from teachwhy.dataset.v1 import audit_pb2, dataset_service_pb2, recipe_pb2

from pipelines.experiment.audit import DatasetNotPublished, audit_draft, refusal
from pipelines.experiment.dataset_card import Provenance
from pipelines.experiment.drafts import Draft
from pipelines.experiment.generate import Advance, generate_dataset, write_draft
from pipelines.experiment.planned_datasets import PlannedDatasets
from pipelines.experiment.publish import as_json, publish_dataset
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec_data import WrittenDataset
from pipelines.experiment.steps import DatasetStep
from pipelines.outputs import Output
from services.servicekit.channel import error_details

ROUNDS = 6
"""Times that a draft is made longer because gates dropped some of it."""

SPARE = 1.02
"""A draft is made a little longer than its yield so far asks for."""


class DatasetNotWritten(Exception):
    """The dataset room stopped. The message names the dataset and says what would help."""


class DatasetWriter:
    """Writes the datasets of one run."""

    def __init__(
        self,
        planned: PlannedDatasets,
        rooms: Rooms,
        *,
        output: Callable[[DatasetStep], Output],
        draft: Callable[[DatasetStep], Output],
        reports: Path,
    ) -> None:
        """Write into the places that ``output`` and ``draft`` name, reports into ``reports``."""
        self._planned = planned
        self._rooms = rooms
        self._output = output
        self._draft = draft
        self._reports = reports

    async def write(self, step: DatasetStep, advance: Advance) -> None:
        """Write the dataset of ``step``; it is published when this returns.

        Raises:
            DatasetNotPublished: a gate failed.
            DatasetNotWritten: spending ended, or nearly all items were rejected.
        """
        spec = self._planned.requests.spec(step.part, seed=step.seed, tokens=step.tokens)
        try:
            if step.draft:
                await self._write_gated(step, spec, advance)
            else:
                await generate_dataset(step, spec, self._output(step), self._rooms, advance)
        except grpc.aio.AioRpcError as error:
            if hint := _HINTS.get(error_details(error).reason):
                message = f"dataset {step.label}: {error_details(error).message}; {hint}"
                raise DatasetNotWritten(message) from error
            raise

    async def _write_gated(
        self, step: DatasetStep, spec: recipe_pb2.DatasetSpec, advance: Advance
    ) -> None:
        draft = Draft(self._draft(step))
        await asyncio.to_thread(draft.open)
        settings = self._planned.audit(step.part, step.seed)
        for _ in range(ROUNDS):
            await write_draft(spec, draft, self._rooms, advance)
            contrast = [self._output(each) for each in step.contrast]
            report = await audit_draft(draft, settings, contrast, self._rooms)
            if not report.passed:
                raise DatasetNotPublished(await self._refuse(step, report))
            if report.kept_tokens >= step.tokens:
                break
            # What gates dropped is written anew behind the rest, so that arms stay token-matched.
            longer = draft.position.tokens * step.tokens / max(1, report.kept_tokens) * SPARE
            spec.token_budget = math.ceil(longer)
        else:
            raise DatasetNotPublished(
                f"dataset {step.label} is not published: after {ROUNDS} rounds the gates keep "
                f"{report.kept_tokens} of {step.tokens} tokens"
            )
        provenance = await self._provenance(step, spec)
        await asyncio.to_thread(
            publish_dataset, step, self._output(step), draft, report, provenance
        )

    async def _refuse(self, step: DatasetStep, report: audit_pb2.AuditDatasetResponse) -> str:
        path = self._reports / f"{step.label.replace(' ', '-')}-{step.digest[:12]}.json"
        await asyncio.to_thread(_write, path, as_json(report))
        return refusal(step.label, report, str(path))

    async def _provenance(self, step: DatasetStep, spec: recipe_pb2.DatasetSpec) -> Provenance:
        requests, part = self._planned.requests, step.part
        recipe = requests.recipes[part.recipe]
        clauses, license_name = None, "other"
        if spec.WhichOneof("author") == "language_model" and requests.author is not None:
            license_name = requests.author.license
            asked = dataset_service_pb2.ListClausesRequest(
                constitution=spec.language_model.constitution
            )
            clauses = await self._rooms.patiently(
                "dataset", lambda: self._rooms.dataset.ListClauses(asked)
            )
        title = part.title if isinstance(part, WrittenDataset) else ""
        return Provenance(
            title=title or recipe.title,
            license=license_name,
            recipe=recipe,
            clauses=clauses,
        )


_HINTS = {
    "SPENDING_LIMIT_REACHED": (
        "what was written is kept, and the same command with a higher author.spending_limit "
        "continues"
    ),
    "YIELD_COLLAPSED": (
        "what was written is kept; `preview` shows what the model answers, and another model, "
        "recipe or stage list may help"
    ),
    "NOT_CONFIGURED": "settings of the dataset room are the variables DATASET_*",
    "MODEL_REJECTED_REQUEST": "what was written is kept; the same command continues",
    "MODEL_UNAVAILABLE": "what was written is kept; the same command continues",
}
"""What helps, by the reason of an error."""


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
