"""The command that says what a run would do, take and make. Makes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.cluster.planning_site import PlanningSite
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from pipelines.cluster.schedule import Schedule
from pipelines.cluster_commands import schedule_of
from pipelines.experiment.compute_table import print_compute
from pipelines.experiment.local_site import LocalSite
from pipelines.experiment.places import RunPlaces, open_places
from pipelines.experiment.plan_tables import print_plan
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.runner import ExperimentRunner, Planned
from pipelines.experiment.settings import PipelinesSettings
from pipelines.plainly import awaited, load_file, plainly, refuse
from pipelines.sites import ClusterFile, Occasion, On, Where
from services.servicekit.settings import settings_or_exit

STANDARD_OUTPUT = "-"
WIDTH = 120


def plan(
    experiment_file: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    *,
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
    occasion: Occasion = "",
    at: Annotated[
        str, typer.Option(help="On a cluster, with the schedule that `schedule --at` makes.")
    ] = "",
    objects: Annotated[
        str,
        typer.Option(
            help="On a cluster, write every object that would be made into this YAML file; "
            "- writes them to standard output, and the tables to standard error."
        ),
    ] = "",
) -> None:
    """Say which steps a run would take, what they cost and what is there. Makes nothing."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
    stream = sys.stderr if objects == STANDARD_OUTPUT else sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else WIDTH)
    places = plainly(lambda: open_places(settings))
    if on is Where.LOCAL:
        if objects or at:
            refuse(f"--{'objects' if objects else 'at'}: only on a cluster; add --on cluster")
        runner = ExperimentRunner(LocalSite(places), settings, console)
        print_plan(awaited(runner.plan(loaded)), loaded.experiment.title, console, places=places)
        return
    profile = plainly(lambda: read_profile(cluster_file or settings.cluster_file))
    schedule = plainly(lambda: _schedule(experiment_file, loaded, profile, at)) if at else None
    site = PlanningSite(places, profile, settings.rooms_channel)
    planned = awaited(ExperimentRunner(site, settings, console).plan(loaded))
    print_plan(planned, loaded.experiment.title, console, places=places)
    if profile.prices is not None:
        print_compute(planned, loaded.experiment, profile.prices, console, places=places)
    text = _print_objects(planned, loaded, profile, places, schedule, console)
    if objects == STANDARD_OUTPUT:
        sys.stdout.write(text)
    elif objects:
        plainly(lambda: Path(objects).write_text(text, encoding="utf-8"))
    for line in _missing(planned, places, profile.store.bucket):
        console.print(f"a run needs before: {line}", style="yellow", highlight=False)


def _print_objects(  # noqa: PLR0917  (what a plan is about, each once)
    planned: Planned,
    loaded: LoadedExperiment,
    profile: ClusterProfile,
    places: RunPlaces,
    schedule: Schedule | None,
    console: Console,
) -> str:
    """Print every object, and return all of them as YAML."""
    # Imported here because the Kubernetes client takes a third of a second.
    from pipelines.cluster.object_table import objects_yaml, print_objects  # noqa: PLC0415
    from pipelines.cluster.objects import planned_objects  # noqa: PLC0415

    made = plainly(
        lambda: planned_objects(
            planned.graph, planned.complete, loaded, profile, places.place, schedule=schedule
        )
    )
    print_objects(made, profile, console)
    return objects_yaml(made)


def _schedule(
    experiment_file: Path, loaded: LoadedExperiment, profile: ClusterProfile, at: str
) -> Schedule:
    name = loaded.experiment.name
    return schedule_of(experiment_file, name, profile, at, time_zone="Etc/UTC")


def _missing(planned: Planned, places: RunPlaces, bucket: str) -> Iterator[str]:
    """What a plan can do without and a run cannot."""
    if planned.given is not None and not planned.given.digest:
        name = planned.given.checkpoint
        yield f"the model {name} in the store; `python -m pipelines import-model {name} FOLDER`"
    store = places.store_settings
    if (store.kind, store.bucket) != ("s3", bucket):
        where = f"bucket {store.bucket}" if store.kind == "s3" else f"folder {store.root}"
        yield f"PIPELINES_STORE__* of the bucket {bucket}; this was planned with the {where}"
