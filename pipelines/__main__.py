"""The command line: run, plan, report, clean, up, down, schema."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import grpc
import typer
from rich.console import Console
from rich.table import Table

from pipelines.experiment.hosting import HostingFailed
from pipelines.experiment.launcher import TrainingFailed
from pipelines.experiment.local_services import ServiceFailed
from pipelines.experiment.report import Report
from pipelines.experiment.report_files import read_report, write_report
from pipelines.experiment.report_table import print_report
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.runner import ExperimentRunner, LoadedExperiment, RunsFolderBusy
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment
from pipelines.experiment.standing import ServicesStanding, start_services, stop_services
from pipelines.experiment.steps import EvaluationStep
from services.servicekit.channel import error_details
from services.servicekit.disk_faults import disk_fault
from services.servicekit.errors import ServiceError
from services.servicekit.settings import settings_or_exit

Result = TypeVar("Result")

EXPECTED = (
    ExperimentFileError,
    ExperimentImpossible,
    HostingFailed,
    RunsFolderBusy,
    ServiceError,
    ServiceFailed,
    ServicesStanding,
    TrainingFailed,
)
"""Faults whose message is all a person needs; anything else shows its traceback."""

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]


@app.command()
def run(experiment_file: ExperimentFile) -> None:
    """Run an experiment: write data, train, play, judge, compare, and show the table."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = _plainly(lambda: _load(experiment_file))
    runner = _plainly(lambda: ExperimentRunner(settings, console))
    report = _await(runner.run(loaded))
    folder = settings.runs_folder / loaded.experiment.name
    paths = _plainly(lambda: write_report(report, folder))
    print_report(report, console)
    for path in paths:
        console.print(str(path), style="dim", highlight=False)


@app.command()
def plan(experiment_file: ExperimentFile) -> None:
    """Say which steps a run would take and what is in the store already. Makes nothing."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = _plainly(lambda: _load(experiment_file))
    steps = _await(ExperimentRunner(settings, console).plan(loaded))
    table = Table(title=f"{loaded.experiment.title}: {len(steps)} steps")
    for column in ("step", "what", "size", "in the store", "digest"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for step, is_complete in steps:
        if isinstance(step, EvaluationStep):
            size = f"{step.episodes:,} episodes"
        else:
            size = f"{step.tokens:,} tokens"
        kind = type(step).__name__.removesuffix("Step").lower()
        table.add_row(kind, step.label, size, "yes" if is_complete else "no", step.digest[:12])
    console.print(table)
    todo = sum(not is_complete for _, is_complete in steps)
    console.print(f"{todo} steps to do, {len(steps) - todo} in the store")


@app.command()
def report(experiment_file: ExperimentFile) -> None:
    """Show the table of the last run again."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = _plainly(lambda: _load(experiment_file))
    path = settings.runs_folder / loaded.experiment.name / "report.json"
    if not path.exists():
        _refuse(f"{path}: there is no report yet; `python -m pipelines run {experiment_file}`")
    print_report(read_report(path), console)


@app.command()
def clean(
    everything: Annotated[  # noqa: FBT002 (typer makes it a flag)
        bool, typer.Option("--everything", help="The store as well, not only unfinished work.")
    ] = False,
) -> None:
    """Remove unfinished work and caches; with --everything all data, models and records."""
    runs = settings_or_exit(PipelinesSettings).runs_folder
    names = ["scratch", "serving-cache", "logs"]
    for folder in [runs] if everything else [runs / name for name in names]:
        if folder.exists():
            shutil.rmtree(folder)
            console.print(f"removed {folder}")


@app.command()
def up() -> None:
    """Start the services on their usual ports and leave them running."""
    settings = settings_or_exit(PipelinesSettings)
    table = Table(title="services")
    for column in ("service", "address", "metrics", "process", "log"):
        table.add_column(column)
    for row in _await(
        start_services(
            settings.runs_folder,
            ports=settings.ports.model_dump(),
            metrics_ports=settings.metrics_ports.model_dump(),
        )
    ):
        table.add_row(row.name, row.address, row.metrics, str(row.pid), str(row.log))
    console.print(table)


@app.command()
def down() -> None:
    """Stop the services that `up` started."""
    settings = settings_or_exit(PipelinesSettings)
    for line in _await(stop_services(settings.runs_folder)):
        console.print(line)


@app.command()
def schema(
    of_report: Annotated[  # noqa: FBT002 (typer makes it a flag)
        bool, typer.Option("--report", help="Of report.json instead of the experiment file.")
    ] = False,
) -> None:
    """Print the JSON Schema of experiment files, for editors."""
    model = Report if of_report else Experiment
    sys.stdout.write(json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n")


def _load(path: Path) -> LoadedExperiment:
    experiment = load_experiment(path)
    template = path.parent / experiment.base.tokenizer.chat_template
    try:
        text = template.read_text(encoding="utf-8")
    except OSError as error:
        raise ExperimentFileError(
            f"{path}: base.tokenizer.chat_template: {template} cannot be read: {error.strerror}"
        ) from error
    return LoadedExperiment(experiment=experiment, chat_template=text)


def _await(work: Coroutine[Any, Any, Result]) -> Result:
    return _plainly(lambda: asyncio.run(work))


def _plainly(work: Callable[[], Result]) -> Result:
    """Do ``work``; a fault a person can mend is one message and exit status 1."""
    try:
        return work()
    except EXPECTED as error:
        _refuse(str(error))
    except grpc.aio.AioRpcError as error:
        details = error_details(error)
        _refuse(f"a service answered {details.code}: {details.message}")
    except OSError as error:
        if (fault := disk_fault(error)) is None:
            raise
        _refuse(f"{error.filename}: {fault}" if error.filename else fault)
    except KeyboardInterrupt:
        _refuse("stopped; the same command continues where it was")


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(1)


if __name__ == "__main__":
    app()
