"""Where a command's experiment runs: this machine, or the cluster that a profile describes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.experiment.local_site import LocalSite
from pipelines.experiment.places import open_places
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.site import Site


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
