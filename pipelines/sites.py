"""Where a command's experiment runs: this machine, or the cluster that a profile describes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment.local_site import LocalSite
from pipelines.experiment.places import open_places
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.runner import ExperimentRunner
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.site import Site
from pipelines.plainly import load_file, plainly
from services.servicekit.settings import settings_or_exit


class Where(StrEnum):
    """A kind of site."""

    LOCAL = "local"
    CLUSTER = "cluster"


On = Annotated[Where, typer.Option(help="Where trainings and models run.")]
ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", help="Cluster profile (YAML); else PIPELINES_CLUSTER_FILE."),
]
Occasion = Annotated[
    str,
    typer.Option(
        help="Measure hosted models, and what `promotion` names, anew for this occasion, for "
        "example a date; today stands for it."
    ),
]
OfOccasion = Annotated[
    str, typer.Option("--occasion", help="Of what was measured at this occasion.")
]


def open_site(settings: PipelinesSettings, on: Where, cluster_file: Path | None) -> Site:
    """Open the site that a command asks for. Nothing is started.

    Raises:
        ProfileFileError: the cluster profile is missing or wrong.
        ExperimentImpossible: the store cannot be shared with the cluster.
    """
    if on is Where.LOCAL:
        return LocalSite(open_places(settings))
    # Imported here because the Kubernetes client takes a third of a second.
    from pipelines.cluster.profile_file import read_profile  # noqa: PLC0415
    from pipelines.cluster.site import ClusterSite  # noqa: PLC0415

    profile = read_profile(cluster_file or settings.cluster_file)
    return ClusterSite(open_places(settings), profile, settings.rooms_channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedExperiment:
    """An experiment that was read, and what runs it at its site."""

    loaded: LoadedExperiment
    runner: ExperimentRunner
    settings: PipelinesSettings


def open_experiment(
    path: Path,
    console: Console,
    *,
    on: Where = Where.LOCAL,
    cluster_file: Path | None = None,
    occasion: str = "",
) -> OpenedExperiment:
    """Do what every command begins with that works on an experiment at a site, plainly.

    Args:
        path: the experiment file.
        console: what the run is told on.
        on: kind of the site.
        cluster_file: profile of the cluster; None: the one of the settings.
        occasion: occasion at which hosted models are measured.
    """
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(path, occasion=occasion))
    site = plainly(lambda: open_site(settings, on, cluster_file))
    runner = ExperimentRunner(site, settings, console)
    return OpenedExperiment(loaded=loaded, runner=runner, settings=settings)
