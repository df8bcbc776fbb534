"""Where the outputs and the unfinished work of a runs folder are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.steps import (
    CalibrationStep,
    DatasetStep,
    EvaluationStep,
    GivenModel,
    JudgingStep,
    Step,
    TrainingStep,
)
from pipelines.outputs import CHECKPOINTS, Output
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store


class RunsFolderBusy(Exception):
    """Another run uses the runs folder. The message says which process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlaces:
    """A runs folder and its store."""

    runs: Path
    """Folder of scratch, logs and reports."""
    store: ObjectStore
    store_settings: StoreSettings
    """How the services of a run open the same store."""

    def output(self, step: Step) -> Output:
        """Where the output of ``step`` is kept."""
        match step:
            case DatasetStep():
                prefix = f"datasets/{step.digest}"
            case TrainingStep():
                return self.checkpoint(step.checkpoint)
            case EvaluationStep():
                prefix = f"episodes/{step.digest}"
            case CalibrationStep():
                prefix = f"calibrations/{step.digest}"
            case JudgingStep():
                prefix = f"judgings/{step.digest}"
        return Output(store=self.store, prefix=prefix)

    def place(self, source: DatasetStep | TrainingStep | GivenModel) -> Output:
        """Where what a training reads or makes is kept."""
        if isinstance(source, GivenModel):
            return self.checkpoint(source.checkpoint)
        return self.output(source)

    def checkpoint(self, name: str) -> Output:
        """Where the checkpoint called ``name`` is kept, whoever made it."""
        return Output(store=self.store, prefix=f"{CHECKPOINTS}/{name}")

    def draft(self, step: DatasetStep) -> Output:
        """Where the items of ``step`` are kept as they came, before any gate."""
        return Output(store=self.store, prefix=f"drafts/{step.draft}")

    def address(self, output: Output) -> str:
        """Where people find an output: a path, or a URL of the bucket."""
        if self.store_settings.kind == "s3":
            return f"s3://{self.store_settings.bucket}/{output.prefix}"
        return str(self.store_settings.root / output.prefix)

    def scratch(self, digest: str) -> Path:
        """Folder for the unfinished work of the step with this digest."""
        return self.runs / "scratch" / digest[:24]

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the runs folder; two runs in one folder would tread on each other's scratch.

        Raises:
            RunsFolderBusy: another process holds it.
        """
        self.runs.mkdir(parents=True, exist_ok=True)
        path = self.runs / "run.lock"
        with path.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise RunsFolderBusy(
                    f"{self.runs} is in use by process {lock.read().strip() or '?'}; wait for it, "
                    "or set PIPELINES_RUNS_FOLDER to another folder"
                ) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def open_places(settings: PipelinesSettings) -> RunPlaces:
    """Open a runs folder and the store; a directory is made if it is missing."""
    runs = settings.runs_folder.resolve()
    of_store = settings.store or StoreSettings(kind="directory", root=runs / "store")
    if of_store.kind == "directory":
        of_store = of_store.model_copy(update={"root": of_store.root.resolve()})
    return RunPlaces(runs=runs, store=open_store(of_store), store_settings=of_store)
