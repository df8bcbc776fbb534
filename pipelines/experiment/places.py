"""Where the outputs and the unfinished work of a runs folder are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.experiment.outputs import Output
from pipelines.experiment.steps import DatasetStep, EvaluationStep, Step, TrainingStep
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlaces:
    """A runs folder and its store."""

    runs: Path
    """Folder of store, scratch, logs and reports."""
    store: ObjectStore

    def output(self, step: Step) -> Output:
        """Where the output of ``step`` is kept."""
        match step:
            case DatasetStep():
                prefix = f"datasets/{step.digest}"
            case TrainingStep():
                prefix = f"checkpoints/{step.checkpoint}"
            case EvaluationStep():
                prefix = f"episodes/{step.digest}"
        return Output(store=self.store, prefix=prefix)

    def draft(self, step: DatasetStep) -> Output:
        """Where the items of ``step`` are kept as they came, before any gate."""
        return Output(store=self.store, prefix=f"drafts/{step.draft}")

    def scratch(self, step: Step) -> Path:
        """Folder for the unfinished work of ``step``."""
        return self.runs / "scratch" / step.digest[:24]


def open_places(runs_folder: Path) -> RunPlaces:
    """Open a runs folder; its store is made if it is missing."""
    runs = runs_folder.resolve()
    store = open_store(StoreSettings(kind="directory", root=runs / "store"))
    return RunPlaces(runs=runs, store=store)
