"""An experiment that writes data only, and what it left in a store."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.experiment.places import RunPlaces, open_places
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.runner import Planned, lay_out
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.write_dataset import DatasetWriter
from pipelines.outputs import Output

AUTHOR = {"model": {"endpoint": "author", "name": "writer"}}


def experiment(*datasets: dict[str, object], **sections: object) -> Experiment:
    """Make an experiment of the datasets, or of one of 100 tokens."""
    chosen = list(datasets) or [{"name": "advice", "recipe": "difficult-advice", "tokens": 100}]
    return Experiment.model_validate(
        {
            "name": "written",
            "title": "Written",
            "seeds": [7],
            "author": AUTHOR,
            "datasets": chosen,
            **sections,
        }
    )


class Folder:
    """A runs folder and the experiment that is carried out in it."""

    def __init__(self, runs: Path, *datasets: dict[str, object], **sections: object) -> None:
        self.experiment = experiment(*datasets, **sections)
        self.places: RunPlaces = open_places(PipelinesSettings(runs_folder=runs))
        self.reports = runs / "written" / "audits"

    async def plan(self, rooms: Rooms) -> Planned:
        return await lay_out(LoadedExperiment(experiment=self.experiment), self.places, rooms)

    async def write(self, rooms: Rooms) -> list[Output]:
        """Write every dataset in turn and return where they are."""
        planned = await self.plan(rooms)
        writer = DatasetWriter(
            planned.datasets,
            rooms,
            output=self.places.output,
            draft=self.places.draft,
            reports=self.reports,
        )
        outputs = []
        for step in planned.graph.datasets:
            output = self.places.output(step)
            if not output.is_complete():
                await writer.write(step, lambda _: None)
            outputs.append(output)
        return outputs


def rows(output: Output, prefix: str) -> list[dict[str, Any]]:
    """Rows of all shards whose name starts so."""
    return [
        row
        for content in output.read_all(prefix=prefix).values()
        for row in pq.read_table(io.BytesIO(content)).to_pylist()
    ]
