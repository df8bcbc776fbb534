"""The command that writes the episodes of an experiment as Inspect logs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment.places import open_places
from pipelines.experiment.settings import PipelinesSettings
from pipelines.inspect_log.export import export_logs
from pipelines.plainly import awaited, load_file, plainly
from pipelines.sites import OfOccasion
from services.servicekit.settings import settings_or_exit

console = Console(width=None if sys.stdout.isatty() else 120)


def inspect_log(
    experiment_file: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    folder: Annotated[Path, typer.Argument(help="Folder for the logs, made if it is missing.")],
    occasion: OfOccasion = "",
) -> None:
    """Write each finished evaluation as a log of Inspect, for its viewer and its scorers."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
    places = plainly(lambda: open_places(settings))
    exported = awaited(export_logs(loaded, places, folder))
    for path in exported.paths:
        console.print(str(path), highlight=False, soft_wrap=True)
    for label in exported.missing:
        console.print(f"not finished, so no log: {label}", style="dim", highlight=False)
