"""The thin layer over the Kubernetes client: patience with a server, and what is ours."""

import asyncio
import itertools
import time
from typing import Any

import pytest

from pipelines.cluster.api import KubernetesApi, ObjectRef
from pipelines.cluster.faults import (
    ClusterRefused,
    ClusterUnreachable,
    NotOurs,
)
from tests.cluster.fake_kubernetes.api_objects import CONFIG_MAPS, Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.faults import Cut, broken, throttled, unavailable
from tests.cluster.training_orders import training_profile

MAP = ObjectRef(api_version="v1", kind="ConfigMap", plural="configmaps", name="settings")


def settings(value: str = "1", *, digest: str = "a", **labels: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "settings",
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/managed-by": "teachwhy",
                "teachwhy.dev/digest": digest,
                **labels,
            },
        },
        "data": {"value": value},
    }


# Patience.


@pytest.mark.parametrize(
    "fault", [throttled("0"), unavailable(), broken(), Cut(), Cut(is_done=True)]
)
async def test_passing_faults_are_put_up_with(
    api: KubernetesApi, cluster: FakeCluster, fault: Any
) -> None:
    cluster.server.fail(fault, when="POST")
    cluster.server.fail(fault, when="GET")

    await api.apply_owned(settings(), MAP)

    found = await api.get(MAP)
    assert found is not None
    assert found["data"] == {"value": "1"}


async def test_the_server_says_how_long_to_wait(api: KubernetesApi, cluster: FakeCluster) -> None:
    cluster.server.fail(throttled("1"))
    began = time.monotonic()

    await api.get(MAP)

    assert time.monotonic() - began >= 1


async def test_what_does_not_pass_ends_after_the_outage_that_is_put_up_with(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.server.fail(unavailable(), times=0)

    with pytest.raises(ClusterUnreachable) as caught:
        await api.get(MAP)

    said = str(caught.value)
    assert "could not get ConfigMap teachwhy/settings" in said
    assert "HTTP 503: the server is currently unable to handle the request" in said
    assert "the same command goes on" in said


async def test_a_missing_permission_is_asked_for_once(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.server.forbid("get", "configmaps")
    before = len(cluster.server.requests)

    with pytest.raises(ClusterRefused) as caught:
        await api.get(MAP)

    assert len(cluster.server.requests) == before + 1
    assert caught.value.status == 403
    assert 'cannot get resource "configmaps"' in str(caught.value)
    assert "role" in str(caught.value)


async def test_an_object_that_the_cluster_does_not_take_is_said_at_once(
    api: KubernetesApi,
) -> None:
    with pytest.raises(ClusterRefused, match=r"metadata\.labels: Invalid value") as caught:
        await api.apply_owned(settings(team="no label!"), MAP)

    assert caught.value.status == 422


async def test_a_namespace_that_is_not_there_is_said(cluster: FakeCluster) -> None:
    profile = training_profile(namespace="lab")
    body = settings()
    body["metadata"]["namespace"] = "lab"
    async with KubernetesApi(profile, kubeconfig=cluster.kubeconfig) as api:
        with pytest.raises(ClusterRefused, match='namespaces "lab" not found; does the namespace'):
            await api.apply_owned(body, MAP)


async def test_a_request_is_given_up_when_it_is_cancelled(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    cluster.server.fail(throttled("15"), times=0)
    request = asyncio.create_task(api.get(MAP))
    while len(cluster.server.requests) < 2:  # noqa: ASYNC110  (a server has no event)
        await asyncio.sleep(0.01)

    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1):
            await request


# Ownership.


async def test_the_same_object_is_made_once(api: KubernetesApi, cluster: FakeCluster) -> None:
    first = await api.apply_owned(settings(), MAP)
    again = await api.apply_owned(settings(), MAP)

    assert again == first
    assert sum(line.startswith("POST") for line in cluster.server.requests) == 1


async def test_another_digest_replaces_ours(api: KubernetesApi) -> None:
    await api.apply_owned(settings("1", digest="a"), MAP)

    replaced = await api.apply_owned(settings("2", digest="b"), MAP)

    assert replaced["data"] == {"value": "2"}


async def test_what_is_not_ours_is_neither_replaced_nor_changed_nor_deleted(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    body = settings()
    body["metadata"]["labels"] = {}
    theirs = cluster.registry.create(CONFIG_MAPS, NAMESPACE, body)

    for attempt in (
        api.apply_owned(settings(), MAP),
        api.change_owned(MAP, lambda found: {**found, "data": {}}),
        api.delete_owned(MAP),
    ):
        with pytest.raises(NotOurs, match="ConfigMap teachwhy/settings"):
            await attempt

    assert cluster.registry.get(CONFIG_MAPS, NAMESPACE, "settings") == theirs


async def test_a_change_keeps_what_somebody_else_changed_meanwhile(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    await api.apply_owned(settings(), MAP)
    attempts = itertools.count()

    def edit(body: Any) -> Any:
        if next(attempts) == 0:
            cluster.registry.change(
                CONFIG_MAPS, NAMESPACE, "settings", lambda each: _with(each, theirs="2")
            )
        return _with(body, ours="3")

    changed = await api.change_owned(MAP, edit)

    assert changed["data"] == {"value": "1", "theirs": "2", "ours": "3"}
    assert next(attempts) == 2


async def test_deleting_what_is_not_there_is_no_fault(api: KubernetesApi) -> None:
    assert await api.delete_owned(MAP) is False


async def test_only_the_object_that_is_meant_is_deleted(api: KubernetesApi) -> None:
    await api.apply_owned(settings(), MAP)

    assert await api.delete_owned(MAP, uid="another") is False
    assert await api.get(MAP) is not None
    assert await api.delete_owned(MAP) is True
    assert await api.get(MAP) is None


async def test_an_object_that_is_ending_is_waited_for(
    api: KubernetesApi, cluster: FakeCluster
) -> None:
    body = settings()
    body["metadata"]["finalizers"] = ["example.org/slow"]
    cluster.registry.create(CONFIG_MAPS, NAMESPACE, body)
    await api.delete_owned(MAP)
    applying = asyncio.create_task(api.apply_owned(settings("2"), MAP))
    await asyncio.sleep(0)

    cluster.registry.change(CONFIG_MAPS, NAMESPACE, "settings", _without_finalizers)

    assert (await applying)["data"] == {"value": "2"}


def _with(body: Any, **data: str) -> Any:
    return {**body, "data": {**body["data"], **data}}


def _without_finalizers(body: Any) -> Any:
    metadata = {key: value for key, value in body["metadata"].items() if key != "finalizers"}
    return {**body, "metadata": metadata}
