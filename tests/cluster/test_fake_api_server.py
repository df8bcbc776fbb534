"""The fake API server is as the real one, seen through the real client."""

from typing import Any

import pytest
from kubernetes import client as kubernetes
from kubernetes import watch
from kubernetes.client.exceptions import ApiException

from tests.cluster.fake_kubernetes.api_objects import Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.courses import (
    is_never_scheduled,
    runs_on,
)
from tests.cluster.real_clients import (
    GROUP,
    PLURAL,
    VERSION,
    config_map,
    create_job,
    job,
    refusal,
    status_of,
)


def test_a_stranger_is_not_let_in(cluster: FakeCluster) -> None:
    stranger = kubernetes.CoreV1Api(
        kubernetes.ApiClient(kubernetes.Configuration(host=cluster.server.url))
    )

    assert refusal(stranger.list_namespaced_pod, NAMESPACE).status == 401


def test_a_name_is_taken_once(core: Any) -> None:
    made = core.create_namespaced_config_map(NAMESPACE, config_map())

    assert made.metadata.uid
    assert made.metadata.creation_timestamp
    assert refusal(core.create_namespaced_config_map, NAMESPACE, config_map()).status == 409
    assert refusal(core.read_namespaced_config_map, "b", NAMESPACE).status == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"kind": "Secret"}, 400),
        ({"apiVersion": "v2"}, 400),
        ({"metadata": {}}, 422),
        ({"metadata": {"name": "Not_A_Name"}}, 422),
        ({"metadata": {"name": "a", "labels": {"a": "-"}}}, 422),
        ({"metadata": {"name": "a", "namespace": "default"}}, 400),
    ],
)
def test_what_is_no_object_of_the_path_is_refused(core: Any, change: Json, status: int) -> None:
    refused = refusal(core.create_namespaced_config_map, NAMESPACE, {**config_map(), **change})

    assert refused.status == status


def test_an_old_version_is_not_written(core: Any) -> None:
    made = core.create_namespaced_config_map(NAMESPACE, config_map())
    made.data = {"one": "2"}
    changed = core.replace_namespaced_config_map("a", NAMESPACE, made)

    assert changed.metadata.resource_version != made.metadata.resource_version
    assert refusal(core.replace_namespaced_config_map, "a", NAMESPACE, made).status == 409


def patch(client: Any, content_type: str, change: Any) -> Json:
    """Patch the job; the client's own method leaves no choice of the content type."""
    patched: Json = client.call_api(
        f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}/why-s0",
        "PATCH",
        header_params={"Content-Type": f"application/{content_type}+json"},
        body=change,
        auth_settings=["BearerToken"],
        response_type="object",
        _return_http_data_only=True,
    )
    return patched


def test_patches_merge_or_edit(client: Any, custom: Any) -> None:
    create_job(custom, job())

    merged = patch(client, "merge-patch", {"metadata": {"labels": {"team": None, "new": "1"}}})
    change = {"op": "replace", "path": "/spec/nprocPerNode", "value": "2"}
    edited = patch(client, "json-patch", [change])

    assert "team" not in merged["metadata"]["labels"]
    assert merged["metadata"]["labels"]["new"] == "1"
    assert edited["spec"]["nprocPerNode"] == "2"
    assert edited["metadata"]["generation"] == merged["metadata"]["generation"] + 1


def test_custom_objects_take_no_strategic_patches(client: Any, custom: Any) -> None:
    create_job(custom, job())

    assert refusal(patch, client, "strategic-merge-patch", {"spec": {}}).status == 415


def test_the_status_is_written_apart(custom: Any, cluster: FakeCluster) -> None:
    cluster.pods.play("*", is_never_scheduled())
    create_job(custom, {**job(), "status": {"mine": "1"}})
    at = (GROUP, VERSION, NAMESPACE, PLURAL, "why-s0")
    status_of(custom, "Created")

    written = custom.patch_namespaced_custom_object_status(*at, {"status": {"note": "x"}})

    assert written["status"]["note"] == "x"
    assert "mine" not in written["status"]
    assert written["metadata"]["generation"] == 1


def test_objects_are_selected_by_labels_and_fields(core: Any) -> None:
    for name, labels in {"a": {"x": "1"}, "b": {"x": "2", "y": "1"}, "c": {}}.items():
        core.create_namespaced_config_map(NAMESPACE, config_map(name, **labels))

    def names(**selectors: str) -> list[str]:
        found = core.list_namespaced_config_map(NAMESPACE, **selectors)
        return [each.metadata.name for each in found.items]

    assert names(label_selector="x=1") == ["a"]
    assert names(label_selector="x") == ["a", "b"]
    assert names(label_selector="!x") == ["c"]
    assert names(label_selector="x in (1,2),y!=1") == ["a"]
    assert names(field_selector="metadata.name=c") == ["c"]


def test_a_watch_begins_at_a_version_and_an_old_one_is_gone(
    core: Any, cluster: FakeCluster
) -> None:
    first = core.create_namespaced_config_map(NAMESPACE, config_map("a"))
    core.create_namespaced_config_map(NAMESPACE, config_map("b"))
    core.delete_namespaced_config_map("a", NAMESPACE)
    version = first.metadata.resource_version

    def watched(since: str) -> list[tuple[str, str]]:
        return [
            (event["type"], event["object"].metadata.name)
            for event in watch.Watch().stream(
                core.list_namespaced_config_map,
                NAMESPACE,
                resource_version=since,
                timeout_seconds=1,
            )
        ]

    assert watched(version) == [("ADDED", "b"), ("DELETED", "a")]
    cluster.registry.compact()
    with pytest.raises(ApiException) as caught:
        watched(version)
    assert caught.value.status == 410


def test_what_belongs_to_an_object_goes_with_it(
    core: Any, custom: Any, cluster: FakeCluster
) -> None:
    cluster.pods.play("*", runs_on())
    create_job(custom, job(nodes=3, volume={"claim": "shared"}))
    status_of(custom, "Running")

    custom.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "why-s0")

    seen = cluster.registry.version
    while core.list_namespaced_pod(NAMESPACE).items:
        seen = cluster.registry.wait_beyond(seen, 1)


def test_an_old_uid_deletes_nothing(core: Any) -> None:
    core.create_namespaced_config_map(NAMESPACE, config_map())
    options = kubernetes.V1DeleteOptions(preconditions=kubernetes.V1Preconditions(uid="old"))

    assert refusal(core.delete_namespaced_config_map, "a", NAMESPACE, body=options).status == 409
    assert core.read_namespaced_config_map("a", NAMESPACE)
