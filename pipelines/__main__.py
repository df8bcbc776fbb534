"""The command line: run, plan, preview, trace, export, report, clean, up, down, schema."""

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

from pipelines.experiment import inquiries
from pipelines.experiment.audit import DatasetNotPublished
from pipelines.experiment.export import ExportRefused, export_dataset
from pipelines.experiment.hosting import HostingFailed
from pipelines.experiment.launcher import TrainingFailed
from pipelines.experiment.local_services import ServiceFailed
from pipelines.experiment.places import open_places
from pipelines.experiment.plan_tables import print_plan
from pipelines.experiment.report import Report
from pipelines.experiment.report_files import read_report, write_report
from pipelines.experiment.report_table import print_report
from pipelines.experiment.revisions import ExperimentImpossible, LoadedExperiment
from pipelines.experiment.runner import ExperimentRunner, RunsFolderBusy
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment, read_beside
from pipelines.experiment.standing import ServicesStanding, start_services, stop_services
from pipelines.experiment.trace import NothingToTrace, print_trace, trace_example
from pipelines.experiment.write_dataset import DatasetNotWritten
from services.servicekit.channel import error_details
from services.servicekit.disk_faults import disk_fault
from services.servicekit.errors import ServiceError
from services.servicekit.settings import settings_or_exit

Result = TypeVar("Result")

EXPECTED = (
    DatasetNotPublished,
    DatasetNotWritten,
    ExperimentFileError,
    ExperimentImpossible,
    ExportRefused,
    HostingFailed,
    NothingToTrace,
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
    finished = _await(runner.run(loaded))
    for name, step in finished.graph.written:
        output = runner.places.output(step)
        count = output.manifest().counts
        console.print(
            f"{name} s{step.seed}: {count['examples']:,} examples, {count['tokens']:,} tokens in "
            f"{settings.runs_folder / 'store' / output.prefix}",
            highlight=False,
            soft_wrap=True,
        )
    if finished.report is None:
        return
    report = finished.report
    folder = settings.runs_folder / loaded.experiment.name
    paths = _plainly(lambda: write_report(report, folder))
    print_report(report, console)
    for path in paths:
        console.print(str(path), style="dim", highlight=False)


@app.command()
def plan(experiment_file: ExperimentFile) -> None:
    """Say which steps a run would take, what they cost and what is there. Makes nothing."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = _plainly(lambda: _load(experiment_file))
    runner = _plainly(lambda: ExperimentRunner(settings, console))
    print_plan(_await(runner.plan(loaded)), loaded.experiment.title, console)


@app.command()
def preview(
    experiment_file: ExperimentFile,
    dataset: Annotated[
        str, typer.Option(help="Name of a dataset, a recipe, or the start of a digest; else all.")
    ] = "",
    items: Annotated[int, typer.Option(min=1, max=20, help="Items of each dataset.")] = 5,
) -> None:
    """Write the first items of the datasets and show what every stage asked and got."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = _plainly(lambda: _load(experiment_file))
    places = _plainly(lambda: open_places(settings.runs_folder))
    _await(inquiries.preview(loaded, places, dataset=dataset, items=items, console=console))


@app.command()
def trace(
    example: Annotated[str, typer.Argument(help="Id of an example, or a Parquet file.")],
    index: Annotated[
        int | None, typer.Argument(help="With a file, the example's column `index`.")
    ] = None,
) -> None:
    """Walk an example to its replies and clause, and to what was trained on it."""
    settings = settings_or_exit(PipelinesSettings)
    places = _plainly(lambda: open_places(settings.runs_folder))
    found = _plainly(lambda: trace_example(places.store, example, index))
    replies = _await(inquiries.replies(places, found.reply_keys))
    print_trace(found, replies, console)


@app.command()
def export(
    experiment_file: ExperimentFile,
    dataset: Annotated[
        str, typer.Argument(help="Name of a dataset, a recipe, or the start of a digest.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to make; empty if it exists.")],
) -> None:
    """Copy a published dataset out of the store, checked."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = _plainly(lambda: _load(experiment_file))
    runner = _plainly(lambda: ExperimentRunner(settings, console))
    planned = _await(runner.plan(loaded))
    for path in _plainly(lambda: export_dataset(planned, dataset, runner.places, folder)):
        console.print(str(path), highlight=False)


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
    names = ["scratch", "serving-cache", "dataset-cache", "judge-cache", "logs"]
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
    template, constitution = "", ""
    if experiment.base is not None:
        name = experiment.base.tokenizer.chat_template
        template = read_beside(path, "base.tokenizer.chat_template", name)
    if experiment.author is not None and (name := experiment.author.constitution.file):
        constitution = read_beside(path, "author.constitution.file", name)
    return LoadedExperiment(
        experiment=experiment, chat_template=template, constitution=constitution
    )


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
