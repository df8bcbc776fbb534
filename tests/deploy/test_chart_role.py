"""The runner's role is what runs ask of an API server: enough, and nothing that is never asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster.profile import ClusterProfile
from pipelines.experiment.hosting import HostingFailed
from pipelines.experiment.traffic import TrafficNotShifted
from services.servicekit.storage.directory import DirectoryStore
from tests.cluster.fake_kubernetes.courses import exits, image_cannot_be_pulled
from tests.cluster.fake_kubernetes.requests import asked
from tests.cluster.serving_cluster import ServingCluster, crashes, serving_cluster
from tests.cluster.serving_profiles import serving_profile
from tests.cluster.shifting import KNATIVE, NEW, NEWER, OLD, ROUTED, shifting
from tests.cluster.trainings import LEADER, Trainings, progress
from tests.deploy.charts import objects_of, of_kind

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
GROUPS = {
    "pytorchjobs": "kubeflow.org",
    "inferenceservices": "serving.kserve.io",
    "httproutes": "gateway.networking.k8s.io",
}
"""API groups of what is not Kubernetes' own."""

Asks = set[tuple[str, str, str]]
"""API group, resource and verb."""


def allowed_by(name: str) -> Asks:
    rules = of_kind(objects_of(name), "Role")["teachwhy-runner"]["rules"]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked_of(cluster: ServingCluster) -> Asks:
    requests = (asked(*line.split(" ", 1)) for line in cluster.fake.server.requests)
    return {
        (
            each.resource.group,
            "/".join(filter(None, (each.resource.plural, each.subresource))),
            each.verb,
        )
        for each in requests
    }


def restrict(cluster: ServingCluster, role: Asks) -> None:
    """Take away whatever the role does not give."""
    resources = {*("configmaps", "cronjobs", "events", "pods", "pods/log", "secrets", "services")}
    for resource in resources | GROUPS.keys():
        for verb in VERBS:
            if (GROUPS.get(resource, ""), resource, verb) not in role:
                cluster.fake.server.forbid(verb, resource)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ServingCluster]:
    with serving_cluster(tmp_path) as running:
        for name in (OLD, NEW, NEWER):
            running.publish(name)
        yield running


async def train(cluster: ServingCluster, folder: Path) -> None:
    """A training that cannot start, one that fails, and one that succeeds."""
    trainings = Trainings(cluster.fake, DirectoryStore(folder / "trained"))
    pods = cluster.fake.pods
    pods.play(LEADER, image_cannot_be_pulled())
    await trainings.failure(start_seconds=1)
    pods.play(LEADER, exits(1, progress(8), "ValueError: loss is nan"))
    assert "loss is nan" in await trainings.failure(restarts=0)
    pods.play(LEADER, trainings.succeeds(progress(8)))
    await trainings.train(restarts=0)


async def host(cluster: ServingCluster, profile: ClusterProfile) -> None:
    """A checkpoint that crashes, and one that is hosted and removed."""
    async with cluster.api(profile) as api:
        cluster.fake.pods.play(f"{NEWER}-*", *(crashes("CUDA is lost") for _ in range(9)))
        with pytest.raises(HostingFailed, match="CUDA is lost"):
            await cluster.host(api, profile).load(NEWER)
        await cluster.host(api, profile).load(OLD)
        await cluster.host(api, profile).unload(OLD)


async def shift(cluster: ServingCluster, options: dict[str, Any], service: str) -> None:
    """A service's first checkpoint, a candidate that is taken back, and one that stays."""
    async with shifting(cluster, options) as traffic:
        await traffic.shift(service, OLD, 100)
        await traffic.shift(service, NEW, 10)
        await traffic.roll_back(service)
        await traffic.shift(service, NEW, 100)


async def refuse_the_route(cluster: ServingCluster) -> None:
    """A first route that the gateway refuses, which is taken away again."""
    cluster.gateway.refusal = "there is no such gateway"
    async with shifting(cluster, ROUTED) as traffic:
        with pytest.raises(TrafficNotShifted):
            await traffic.shift("other", OLD, 100)


async def test_with_the_role_everything_goes_and_all_of_it_is_needed(
    cluster: ServingCluster, tmp_path: Path
) -> None:
    role = allowed_by("gpu")
    restrict(cluster, role)

    await train(cluster, tmp_path)
    await host(cluster, serving_profile(ready_seconds=20))
    await shift(cluster, ROUTED, "agent")
    await shift(cluster, KNATIVE, "clerk")
    await refuse_the_route(cluster)

    # A job is replaced only where another run made one of its name a moment ago.
    assert asked_of(cluster) | {("kubeflow.org", "pytorchjobs", "update")} == role


async def test_without_a_gateway_the_smaller_role_is_enough(
    cluster: ServingCluster, tmp_path: Path
) -> None:
    role = allowed_by("minio")
    restrict(cluster, role)

    await train(cluster, tmp_path)
    await host(cluster, serving_profile(ready_seconds=20))

    assert asked_of(cluster) <= role
    assert role < allowed_by("gpu")
