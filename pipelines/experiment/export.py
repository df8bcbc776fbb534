"""Copies a published dataset out of the store, for programs that know nothing of it."""

from __future__ import annotations

from pathlib import Path

from pipelines.experiment.places import RunPlaces
from pipelines.experiment.preview import chosen_datasets
from pipelines.experiment.runner import Planned


class ExportRefused(Exception):
    """The dataset is not there or the folder is taken. The message says what would help."""


def export_dataset(planned: Planned, name: str, places: RunPlaces, folder: Path) -> list[Path]:
    """Copy the dataset that ``name`` means into ``folder`` with its manifest; return the folder.

    Each file is checked against the manifest. Several datasets of that name, as seeds or
    budgets make them, go into folders of their own below ``folder``.

    Raises:
        ExportRefused: it is not published, or ``folder`` holds something.
        ExperimentImpossible: no dataset is meant.
        StoredObjectCorrupt: a file differs from the manifest.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportRefused(f"{folder}: is there already and not empty")
    chosen = [step for _, step in chosen_datasets(planned, name, every_seed=True)]
    missing = [step.label for step in chosen if step.digest not in planned.complete]
    if missing:
        raise ExportRefused(f"not written yet: {', '.join(missing)}; `run` writes them")
    targets = []
    for step in chosen:
        target = folder / step.label.replace(" ", "-") if len(chosen) > 1 else folder
        output = places.output(step)
        output.fetch(target)
        (target / "manifest.json").write_bytes(output.store.get(output.key("manifest.json")))
        targets.append(target)
    return targets
