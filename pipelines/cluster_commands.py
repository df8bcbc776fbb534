"""Commands that hand an experiment over to a cluster: as a schedule, or as a pipeline."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from pipelines.cluster.runner_pod import carried_profile
from pipelines.cluster.schedule import Schedule, check_recurring, schedule_objects
from pipelines.experiment.bundle import read_bundle
from pipelines.experiment.occasions import resolved
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.waves import MOST_PARTS
from pipelines.plainly import awaited, load_file, plainly, refuse
from pipelines.sites import ClusterFile, Occasion
from services.servicekit.settings import settings_or_exit

console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]


def schedule(
    experiment_file: ExperimentFile,
    *,
    at: Annotated[str, typer.Option(help='When, as cron has it, such as "0 2 * * *".')] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of that time.")] = "Etc/UTC",
    cluster_file: ClusterFile = None,
    printed: Annotated[
        bool, typer.Option("--print", help="Print the objects and change nothing.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the schedule of this file away again.")
    ] = False,
) -> None:
    """Have a cluster measure hosted models, and what is promoted, anew, again and again."""
    if remove == bool(at):
        refuse("say when with --at, or take the schedule away with --remove")
    profile = _profile(cluster_file)
    loaded = plainly(lambda: load_file(experiment_file))
    name = loaded.experiment.name
    if remove:
        gone = awaited(_removed(profile, name))
        console.print(", ".join(gone) + " removed" if gone else f"{name} has no schedule there")
        return
    plainly(lambda: check_recurring(loaded.experiment, profile))
    wanted = plainly(lambda: schedule_of(experiment_file, name, profile, at, time_zone=time_zone))
    if printed:
        objects = plainly(lambda: schedule_objects(wanted, profile))
        sys.stdout.write(yaml.safe_dump_all(objects, sort_keys=False))
        return
    console.print(f"{awaited(_put(profile, wanted))}: {at} {time_zone}", highlight=False)


def schedule_of(
    experiment_file: Path, name: str, profile: ClusterProfile, at: str, *, time_zone: str
) -> Schedule:
    """Write down the schedule of an experiment, with everything its pods need to know.

    Raises:
        ExperimentFileError: the file, or one that it names, cannot be carried into a container.
    """
    return Schedule(
        experiment=name,
        bundle=read_bundle(experiment_file),
        cluster=yaml.safe_dump(carried_profile(profile), sort_keys=False),
        at=at,
        time_zone=time_zone,
    )


def pipeline(
    experiment_file: ExperimentFile,
    *,
    cluster_file: ClusterFile = None,
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("build/pipeline.yaml"),
    parts: Annotated[
        int, typer.Option(min=1, max=MOST_PARTS, help="Most parts to share an evaluation out into.")
    ] = 4,
    occasion: Occasion = "",
) -> None:
    """Write an experiment as a Kubeflow pipeline; `make pipeline` has the environment for it."""
    if importlib.util.find_spec("kfp") is None:
        refuse(
            "Kubeflow's library is in an environment of its own, for its pins: "
            f"make pipeline EXPERIMENT={experiment_file} CLUSTER=cluster.yaml"
        )
    # Imported here because only its own environment has it.
    from pipelines.cluster.pipeline import experiment_pipeline as described  # noqa: PLC0415

    profile = _profile(cluster_file)
    loaded = plainly(lambda: load_file(experiment_file))
    if occasion:
        plainly(lambda: resolved(occasion))
    bundle = plainly(lambda: read_bundle(experiment_file))
    made = plainly(
        lambda: described.experiment_pipeline(
            bundle,
            name=f"teachwhy-{loaded.experiment.name}",
            profile=profile,
            occasion=occasion,
            parts=parts,
        )
    )
    described.compile_pipeline(made, output)
    assert profile.runner is not None, "a pipeline was made"
    console.print(
        f"{output}: {loaded.experiment.name} as a pipeline of {profile.runner.image}\n"
        f"Submit it with the service account {profile.runner.service_account}; its arguments are "
        "the experiment, the cluster profile, the occasion and the parts.",
        highlight=False,
        soft_wrap=True,
    )


def _profile(cluster_file: Path | None) -> ClusterProfile:
    path = cluster_file or settings_or_exit(PipelinesSettings).cluster_file
    return plainly(lambda: read_profile(path))


async def _put(profile: ClusterProfile, wanted: Schedule) -> str:
    # Imported here because the Kubernetes client takes a third of a second.
    from pipelines.cluster.api import KubernetesApi  # noqa: PLC0415
    from pipelines.cluster.scheduling import put_schedule  # noqa: PLC0415

    async with KubernetesApi(profile) as api:
        return await put_schedule(api, wanted, profile)


async def _removed(profile: ClusterProfile, experiment: str) -> list[str]:
    from pipelines.cluster.api import KubernetesApi  # noqa: PLC0415
    from pipelines.cluster.scheduling import remove_schedule  # noqa: PLC0415

    async with KubernetesApi(profile) as api:
        return await remove_schedule(api, experiment)
