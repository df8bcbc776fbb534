"""What the cluster tells of pods: events, and logs that are followed."""

import asyncio
import threading

import pytest

from pipelines.cluster.api import KubernetesApi
from tests.cluster.fake_kubernetes.api_objects import PODS, Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.courses import completes, exits, runs_on
from tests.cluster.fake_kubernetes.faults import CutAfter


def pod(name: str = "talker", policy: str = "Never") -> Json:
    containers = [{"name": "main", "image": "registry.example/talker:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, "restartPolicy": policy},
    }


async def test_events_of_an_object_are_those_of_its_kind_and_name(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.pods.play("talker", completes("hello"))
    cluster.registry.create(PODS, NAMESPACE, pod("talker"))
    cluster.registry.create(PODS, NAMESPACE, pod("talker-2"))

    while not (events := await api.events_of(api.pod_ref("talker"))):  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    assert "Scheduled: Successfully assigned talker to node-1" in [str(each) for each in events]


async def test_a_log_is_followed_from_its_start_to_its_end(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.pods.play("talker", completes("one", "", "three"))

    assert await lines_of(api, cluster) == ["one", "", "three"]


async def test_a_log_that_is_cut_goes_on_behind_its_last_line(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    said = [f"line {number}" for number in range(20)]
    cluster.pods.play("talker", completes(*said))
    for lines in (3, 0, 7, 12):
        cluster.server.fail(CutAfter(lines), when="/log")

    assert await lines_of(api, cluster) == said


async def test_a_log_survives_a_server_that_goes_away(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    go_on = threading.Event()
    cluster.pods.play("talker", completes("one", "two", when=go_on))
    reading = asyncio.create_task(lines_of(api, cluster))
    while "talker/log" not in str(cluster.server.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    cluster.server.disappear()
    go_on.set()
    cluster.server.come_back()

    assert await reading == ["one", "two"]


async def test_a_container_that_starts_again_is_followed(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.pods.play("talker", exits(1, "first"), completes("second"))

    assert await lines_of(api, cluster, policy="OnFailure") == ["first", "second"]


async def test_following_ends_when_its_reader_goes(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.pods.play("talker", runs_on("one"))
    reading = asyncio.create_task(lines_of(api, cluster))
    while not any("/log" in line for line in cluster.server.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(2):
            await reading
    for thread in threading.enumerate():
        if thread.name.startswith("log"):
            thread.join(2)
            assert not thread.is_alive()


async def test_the_last_lines_of_a_log_are_read(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.pods.play("talker", completes("one", "two", "three"))
    await lines_of(api, cluster)

    assert await api.logs("talker", lines=2) == "two\nthree\n"
    assert await api.logs("nobody") == ""


async def lines_of(api: KubernetesApi, cluster: FakeCluster, *, policy: str = "Never") -> list[str]:
    """Create the pod and follow it to its end."""
    body = cluster.registry.create(PODS, NAMESPACE, pod(policy=policy))
    uid = body["metadata"]["uid"]
    return [line async for line in api.follow_logs("talker", uid=uid, container="main")]
