"""Commands that run an experiment, or do what is behind its last step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment.report_files import write_report
from pipelines.experiment.report_table import print_report
from pipelines.experiment.runner import Finished
from pipelines.experiment.single_step import finish as conclude
from pipelines.plainly import awaited, plainly
from pipelines.sites import ClusterFile, Occasion, On, OpenedExperiment, Where, open_experiment

console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]


def run(
    experiment_file: ExperimentFile,
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
    occasion: Occasion = "",
) -> None:
    """Run an experiment: write data, train, play, judge, compare, and show the table."""
    opened = open_experiment(
        experiment_file, console, on=on, cluster_file=cluster_file, occasion=occasion
    )
    _show(awaited(opened.runner.run(opened.loaded)), opened)


def finish(
    experiment_file: ExperimentFile,
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
    occasion: Occasion = "",
) -> None:
    """Do what a run does behind its last step, where all steps are complete."""
    opened = open_experiment(
        experiment_file, console, on=on, cluster_file=cluster_file, occasion=occasion
    )
    _show(awaited(conclude(opened.runner, opened.loaded)), opened)


def _show(finished: Finished, opened: OpenedExperiment) -> None:
    places = opened.runner.places
    for name, step in finished.graph.written:
        output = places.output(step)
        count = output.manifest().counts
        console.print(
            f"{name} s{step.seed}: {count['examples']:,} examples, {count['tokens']:,} tokens in "
            f"{places.address(output)}",
            highlight=False,
            soft_wrap=True,
        )
    if finished.report is None:
        return
    report = finished.report
    folder = opened.settings.runs_folder / opened.loaded.experiment.name
    paths = plainly(lambda: write_report(report, folder))
    print_report(report, console)
    for path in paths:
        console.print(str(path), style="dim", highlight=False)
