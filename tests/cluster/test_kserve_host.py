"""Checkpoints are hosted as InferenceServices, and what goes wrong is told in full."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.kserve_host import KserveHost
from pipelines.cluster.profile import ClusterProfile
from tests.cluster.fake_kubernetes.courses import (
    Exit,
    RunningPod,
)
from tests.cluster.serving_cluster import ServingCluster, serving_cluster
from tests.cluster.serving_profiles import OWN, STOCK, serving_profile

ARM = "arm-80k-s0-0123456789ab"
LONG = "difficult-advice-with-diverse-reasons-80k-s0-0123456789ab"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ServingCluster]:
    with serving_cluster(tmp_path) as running:
        running.publish(ARM)
        yield running


@pytest.fixture
def profile() -> ClusterProfile:
    return serving_profile(OWN, ready_seconds=20)


@pytest.fixture
async def api(cluster: ServingCluster, profile: ClusterProfile) -> AsyncIterator[KubernetesApi]:
    async with cluster.api(profile) as entered:
        yield entered


@pytest.fixture
def host(cluster: ServingCluster, api: KubernetesApi, profile: ClusterProfile) -> KserveHost:
    return cluster.host(api, profile)


def creations(cluster: ServingCluster) -> int:
    return sum(
        line.startswith("POST") and "inferenceservices" in line
        for line in cluster.fake.server.requests
    )


async def test_a_checkpoint_is_hosted_until_it_is_unloaded(
    cluster: ServingCluster, host: KserveHost
) -> None:
    await host.load(ARM)
    assert cluster.checkpoints == [ARM]
    service = cluster.service(ARM)
    assert service is not None
    assert service["status"]["conditions"][-1] == {"type": "Ready", "status": "True"}

    await host.unload(ARM)
    await host.unload(ARM)
    assert cluster.services == set()


async def test_loading_what_is_hosted_makes_nothing_new(
    cluster: ServingCluster, host: KserveHost
) -> None:
    await host.load(ARM)
    first = cluster.service(ARM)
    await host.load(ARM)

    assert cluster.service(ARM) == first
    assert creations(cluster) == 1


async def test_a_long_name_is_hosted_under_a_short_one(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.publish(LONG)

    await host.load(LONG)
    (name,) = cluster.services
    assert len(name) <= 46
    await host.unload(LONG)
    assert cluster.services == set()


async def test_two_checkpoints_are_hosted_side_by_side(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.publish("other")

    await asyncio.gather(host.load(ARM), host.load("other"))
    await host.unload(ARM)

    assert cluster.services == {"other"}


async def test_what_was_made_for_another_profile_is_made_anew(
    cluster: ServingCluster, api: KubernetesApi, host: KserveHost
) -> None:
    await host.load(ARM)
    first = cluster.service(ARM)
    other = cluster.host(api, serving_profile({**OWN, "image": "registry.example/newer:2"}))
    await other.load(ARM)
    second = cluster.service(ARM)

    assert first is not None
    assert second is not None
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert "newer:2" in str(second["spec"])


async def test_a_slow_start_is_waited_for(cluster: ServingCluster, host: KserveHost) -> None:
    def slow(pod: RunningPod) -> Exit:
        pod.start(is_ready=False)
        pod.say("reading weights")
        time.sleep(0.5)
        pod.become_ready()
        pod.wait_until_deleted()
        return Exit()

    cluster.fake.pods.play("arm-*", slow)

    await host.load(ARM)

    assert cluster.services == {ARM}


async def test_the_stock_runtime_serves_an_adapter(
    cluster: ServingCluster, api: KubernetesApi
) -> None:
    cluster.publish("adapted", rank=16, start="llama-8b")

    await cluster.host(api, serving_profile(STOCK)).load("adapted")

    service = cluster.service("adapted")
    assert service is not None
    predictor = service["spec"]["predictor"]
    assert [each["uri"] for each in predictor["storageUris"]] == [
        "s3://teachwhy/checkpoints/llama-8b",
        "s3://teachwhy/checkpoints/adapted",
    ]
    assert "--max-lora-rank=16" in predictor["model"]["args"]


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
@pytest.mark.parametrize("runtime", ["own", "stock"])
async def test_kserve_takes_the_services_of_every_profile(
    cluster: ServingCluster, api: KubernetesApi, mode: str, runtime: str
) -> None:
    profile = serving_profile({"own": OWN, "stock": STOCK}[runtime], mode=mode)

    await cluster.host(api, profile).load(ARM)

    assert cluster.services == {ARM}
