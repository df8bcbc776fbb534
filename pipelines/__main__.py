"""The command line: run an experiment, plan and preview it, read what it left, run services."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines import (
    cluster_commands,
    judging_commands,
    model_commands,
    plan_command,
    reading,
    run_commands,
    step_commands,
)
from pipelines.cluster.profile import ClusterProfile
from pipelines.experiment import inquiries
from pipelines.experiment.export import export_dataset
from pipelines.experiment.places import open_places
from pipelines.experiment.report import Report
from pipelines.experiment.report_files import read_report
from pipelines.experiment.report_table import print_report
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.standing import start_services, stop_services
from pipelines.experiment.trace import print_trace, trace_example
from pipelines.inspect_log.command import inspect_log
from pipelines.plainly import awaited, load_file, plainly, refuse
from pipelines.sites import open_experiment
from services.servicekit.settings import settings_or_exit

CACHING_SERVICES = ("serving", "dataset", "judge", "rollout")

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]


app.command()(run_commands.run)
app.command()(run_commands.finish)


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
    loaded = plainly(lambda: load_file(experiment_file))
    places = plainly(lambda: open_places(settings))
    awaited(inquiries.preview(loaded, places, dataset=dataset, items=items, console=console))


app.command()(plan_command.plan)
app.command()(reading.show)
app.command()(reading.episodes)
app.command()(judging_commands.numbers)
app.command()(judging_commands.reasons)
app.command()(judging_commands.rejudge)
app.command()(judging_commands.power)
app.command("inspect-log")(inspect_log)
app.command()(step_commands.steps)
app.command()(step_commands.step)
app.command()(cluster_commands.schedule)
app.command()(cluster_commands.pipeline)
app.command("import-model")(model_commands.import_model)


@app.command()
def trace(
    example: Annotated[str, typer.Argument(help="Id of an example, or a Parquet file.")],
    index: Annotated[
        int | None, typer.Argument(help="With a file, the example's column `index`.")
    ] = None,
) -> None:
    """Walk an example to its replies and clause, and to what was trained on it."""
    settings = settings_or_exit(PipelinesSettings)
    places = plainly(lambda: open_places(settings))
    found = plainly(lambda: trace_example(places.store, example, index))
    replies = awaited(inquiries.replies(places, found.reply_keys))
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
    opened = open_experiment(experiment_file, console)
    planned = awaited(opened.runner.plan(opened.loaded))
    for path in plainly(lambda: export_dataset(planned, dataset, opened.runner.places, folder)):
        console.print(str(path), highlight=False)


@app.command()
def report(experiment_file: ExperimentFile) -> None:
    """Show the table of the last run again."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file))
    path = settings.runs_folder / loaded.experiment.name / "report.json"
    if not path.exists():
        refuse(f"{path}: there is no report yet; `python -m pipelines run {experiment_file}`")
    print_report(read_report(path), console)


@app.command()
def clean(
    everything: Annotated[  # noqa: FBT002 (typer makes it a flag)
        bool, typer.Option("--everything", help="The store as well, not only unfinished work.")
    ] = False,
) -> None:
    """Remove unfinished work and caches; with --everything all data, models and records."""
    runs = settings_or_exit(PipelinesSettings).runs_folder
    names = ["scratch", *(f"{room}-cache" for room in CACHING_SERVICES), "logs"]
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
    for row in awaited(
        start_services(
            open_places(settings),
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
    for line in awaited(stop_services(settings.runs_folder)):
        console.print(line)


@app.command()
def schema(
    *,
    of_report: Annotated[
        bool, typer.Option("--report", help="Of report.json instead of the experiment file.")
    ] = False,
    of_cluster: Annotated[
        bool, typer.Option("--cluster", help="Of cluster profiles instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of experiment files, for editors."""
    model = Report if of_report else ClusterProfile if of_cluster else Experiment
    sys.stdout.write(json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    app()
