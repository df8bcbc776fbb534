"""What runs create in the namespace, with the cluster profile that the chart installs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.cluster.inference_service import POD_LABEL, inference_service
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from pipelines.cluster.schedule import Schedule, schedule_objects
from pipelines.cluster.training_job import training_job
from pipelines.experiment.bundle import Bundle
from tests.cluster.training_orders import order
from tests.deploy.charts import Body, of_kind
from tests.deploy.network import Place


def profile_of(objects: list[Body], folder: Path) -> ClusterProfile:
    """The installed profile, read as a run reads it."""
    path = folder / "cluster.yaml"
    path.write_text(profile_text(objects), encoding="utf-8")
    return read_profile(path)


def profile_text(objects: list[Body]) -> str:
    """The text of the installed profile."""
    text = of_kind(objects, "ConfigMap")["teachwhy-cluster"]["data"]["cluster.yaml"]
    assert isinstance(text, str)
    return text


def scheduled(
    profile: ClusterProfile, text: str, *, bundle: Bundle, at: str, time_zone: str
) -> tuple[Any, Any]:
    """The ConfigMap and the CronJob that the command line makes of a schedule."""
    schedule = Schedule(
        experiment="nightly", bundle=bundle, cluster=text, at=at, time_zone=time_zone
    )
    return schedule_objects(schedule, profile)


def pods_of_runs(profile: ClusterProfile) -> Mapping[str, Place]:
    """A training's pod, a measured checkpoint's, and a schedule's."""
    training: Any = training_job(order(), profile)
    hosted: Any = inference_service("why-s0", "5ca1e", profile)
    bundle = Bundle(experiment="name: x")
    nightly = scheduled(profile, "", bundle=bundle, at="@daily", time_zone="Etc/UTC")[1]
    (of_training, *_) = (
        replica["template"]["metadata"]
        for replica in training["spec"]["pytorchReplicaSpecs"].values()
    )
    of_nightly = nightly["spec"]["jobTemplate"]["spec"]["template"]["metadata"]
    return {
        "a training": Place(labels=of_training["labels"]),
        "a checkpoint": Place(labels={**hosted["spec"]["predictor"]["labels"], POD_LABEL: "x"}),
        "a schedule": Place(labels=of_nightly["labels"]),
    }
