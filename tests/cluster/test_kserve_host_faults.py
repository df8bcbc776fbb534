"""What keeps a checkpoint from being hosted is told in full, and nothing of it is left."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.kserve_host import KserveHost
from pipelines.cluster.profile import ClusterProfile
from pipelines.experiment.hosting import HostingFailed
from tests.cluster.fake_kubernetes.api_objects import INFERENCE_SERVICES
from tests.cluster.fake_kubernetes.cluster import NAMESPACE
from tests.cluster.fake_kubernetes.courses import (
    Exit,
    RunningPod,
    image_cannot_be_pulled,
    is_never_scheduled,
)
from tests.cluster.serving_cluster import ServingCluster, crashes, serving_cluster
from tests.cluster.serving_profiles import OWN, STOCK, serving_profile

ARM = "arm-80k-s0-0123456789ab"


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


async def test_a_service_that_finds_no_node_says_what_its_events_say(
    cluster: ServingCluster, api: KubernetesApi
) -> None:
    cluster.fake.pods.play("arm-*", is_never_scheduled())
    host = cluster.host(api, serving_profile(OWN, ready_seconds=1))

    with pytest.raises(HostingFailed) as failure:
        await host.load(ARM)

    told = str(failure.value)
    assert f"InferenceService {NAMESPACE}/{ARM} was not ready within 1 s" in told
    assert "PredictorReady is False: MinimumReplicasUnavailable: Deployment does not" in told
    assert "\n  Ready is False" not in told, "it says the same"
    assert "not scheduled: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu" in told
    assert "FailedScheduling" in told
    assert told.endswith("the same command goes on.")
    assert cluster.services == set(), "what does not answer holds no GPU"


async def test_an_image_that_cannot_be_pulled_is_said_at_once(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.fake.pods.play("arm-*", image_cannot_be_pulled("manifest unknown"))
    began = time.monotonic()

    with pytest.raises(HostingFailed, match=r"cannot start: pod arm-.*ImagePullBackOff") as failure:
        await host.load(ARM)

    assert time.monotonic() - began < 10
    assert "manifest unknown" in str(failure.value)
    assert OWN["image"] in str(failure.value)


async def test_a_crashing_predictor_is_said_with_its_last_words(
    cluster: ServingCluster, host: KserveHost
) -> None:
    words = "serving cannot start: store teachwhy is unavailable: Access Denied."
    cluster.fake.pods.play("arm-*", crashes("loading", words))

    with pytest.raises(HostingFailed) as failure:
        await host.load(ARM)

    told = str(failure.value)
    assert "cannot start: pod arm-" in told
    assert "last lines of kserve-container:" in told
    assert words in told
    assert cluster.services == set()


async def test_a_predictor_that_was_just_started_again_is_said_with_the_words_before(
    cluster: ServingCluster, api: KubernetesApi
) -> None:
    def says_nothing(pod: RunningPod) -> Exit:
        pod.start(is_ready=False)
        pod.wait_until_deleted()
        return Exit()

    cluster.fake.pods.play("arm-*", crashes("no route to the store"), says_nothing)
    host = cluster.host(api, serving_profile(OWN, ready_seconds=3))

    with pytest.raises(HostingFailed, match=r"last lines of .*:\n +no route to the store"):
        await host.load(ARM)


async def test_a_predictor_that_crashes_once_is_waited_for(
    cluster: ServingCluster, host: KserveHost
) -> None:
    def runs(pod: RunningPod) -> Exit:
        pod.start()
        pod.wait_until_deleted()
        return Exit()

    cluster.fake.pods.play("arm-*", crashes("no route to the store"), runs)

    await host.load(ARM)


async def test_a_runtime_that_is_not_installed_is_said_at_once(
    cluster: ServingCluster, api: KubernetesApi
) -> None:
    host = cluster.host(api, serving_profile({**STOCK, "runtime": "my-runtime"}))

    with pytest.raises(HostingFailed, match="Specified runtime not found: my-runtime") as failure:
        await host.load(ARM)

    assert "is refused by KServe" in str(failure.value)
    assert cluster.services == set()


async def test_an_adapter_whose_start_nobody_knows_is_not_hosted(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.publish("adapted", rank=16)

    with pytest.raises(HostingFailed, match=r"adapted: .*orders/adapted/order.json"):
        await host.load("adapted")


async def test_an_incomplete_checkpoint_is_not_hosted(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.store.put("checkpoints/half/model.safetensors", b"weights")

    with pytest.raises(HostingFailed, match=r"half: .*checkpoints/half/manifest.json.*complete"):
        await host.load("half")

    assert cluster.services == set()


async def test_what_is_not_ours_is_neither_used_nor_removed(
    cluster: ServingCluster, host: KserveHost
) -> None:
    foreign = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": ARM,
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {"predictor": {"model": {"storageUri": "s3://theirs"}}},
    }
    cluster.fake.registry.create(INFERENCE_SERVICES, NAMESPACE, foreign)

    with pytest.raises(HostingFailed, match=f"{ARM} is there already and was not made by a run"):
        await host.load(ARM)
    with pytest.raises(HostingFailed, match=f"{ARM} is there already and was not made by a run"):
        await host.unload(ARM)
    assert cluster.services == {ARM}


async def test_a_load_that_was_cut_off_is_continued(
    cluster: ServingCluster, host: KserveHost
) -> None:
    gate = asyncio.Event()

    def waits(pod: RunningPod) -> Exit:
        pod.start(is_ready=False)
        while not gate.is_set():
            time.sleep(0.02)
        pod.become_ready()
        pod.wait_until_deleted()
        return Exit()

    cluster.fake.pods.play("arm-*", waits)
    loading = asyncio.ensure_future(host.load(ARM))
    await asyncio.to_thread(cluster.await_service, ARM)
    loading.cancel()
    first = cluster.service(ARM)
    gate.set()

    await host.load(ARM)

    second = cluster.service(ARM)
    assert first is not None
    assert second is not None
    assert first["metadata"]["uid"] == second["metadata"]["uid"]


async def test_a_service_that_somebody_deletes_is_missed(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.fake.pods.play("arm-*", is_never_scheduled())
    loading = asyncio.ensure_future(host.load(ARM))
    await asyncio.to_thread(cluster.await_service, ARM)
    cluster.fake.registry.delete(INFERENCE_SERVICES, NAMESPACE, ARM)

    with pytest.raises(HostingFailed, match="was deleted by somebody else"):
        await loading


async def test_an_api_server_that_is_away_for_a_moment_is_waited_for(
    cluster: ServingCluster, host: KserveHost
) -> None:
    cluster.fake.server.disappear()
    loading = asyncio.ensure_future(host.load(ARM))
    await asyncio.sleep(0.3)
    cluster.fake.server.come_back()

    await loading

    assert cluster.services == {ARM}
