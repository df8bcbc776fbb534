"""Commands that run an experiment, or do what is behind its last step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment.report_files import write_report
from pipelines.experiment.report_table import print_report
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.runner import ExperimentRunner, Finished
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.single_step import finish as conclude
from pipelines.plainly import awaited, load_file, plainly
from pipelines.sites import ClusterFile, Occasion, On, Where, open_site
from services.servicekit.settings import settings_or_exit

console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]


def run(
    experiment_file: ExperimentFile,
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
    occasion: Occasion = "",
) -> None:
    """Run an experiment: write data, train, play, judge, compare, and show the table."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
    site = plainly(lambda: open_site(settings, on, cluster_file))
    runner = ExperimentRunner(site, settings, console)
    _show(awaited(runner.run(loaded)), loaded, runner, settings)


def finish(
    experiment_file: ExperimentFile,
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
    occasion: Occasion = "",
) -> None:
    """Do what a run does behind its last step, where all steps are complete."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
    site = plainly(lambda: open_site(settings, on, cluster_file))
    runner = ExperimentRunner(site, settings, console)
    _show(awaited(conclude(runner, loaded)), loaded, runner, settings)


def _show(
    finished: Finished,
    loaded: LoadedExperiment,
    runner: ExperimentRunner,
    settings: PipelinesSettings,
) -> None:
    for name, step in finished.graph.written:
        output = runner.places.output(step)
        count = output.manifest().counts
        console.print(
            f"{name} s{step.seed}: {count['examples']:,} examples, {count['tokens']:,} tokens in "
            f"{runner.places.address(output)}",
            highlight=False,
            soft_wrap=True,
        )
    if finished.report is None:
        return
    report = finished.report
    folder = settings.runs_folder / loaded.experiment.name
    paths = plainly(lambda: write_report(report, folder))
    print_report(report, console)
    for path in paths:
        console.print(str(path), style="dim", highlight=False)
