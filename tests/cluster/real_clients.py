"""The Kubernetes client as it is, for tests of the fake itself."""

from typing import Any

import pytest
from kubernetes import watch
from kubernetes.client.exceptions import ApiException

from pipelines.cluster.training_job import training_job
from tests.cluster.fake_kubernetes.api_objects import Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE
from tests.cluster.training_orders import order, training_profile

GROUP, VERSION, PLURAL = "kubeflow.org", "v1", "pytorchjobs"
SECONDS = 20


def refusal(call: Any, *arguments: Any, **named: Any) -> ApiException:
    with pytest.raises(ApiException) as caught:
        call(*arguments, **named)
    return caught.value


def config_map(name: str = "a", **labels: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": {"one": "1"},
    }


def job(name: str = "why-s0", **training: Any) -> Json:
    return training_job(order(name), training_profile(**training))


def create_job(custom: Any, body: Json) -> Json:
    made: Json = custom.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, body)
    return made


def status_of(custom: Any, condition: str, name: str = "why-s0") -> Json:
    """Watch the job until it has the condition."""
    for event in watch.Watch().stream(
        custom.list_namespaced_custom_object,
        *(GROUP, VERSION, NAMESPACE, PLURAL),
        field_selector=f"metadata.name={name}",
        resource_version="0",
        timeout_seconds=SECONDS,
    ):
        status: Json = event["object"].get("status", {})
        if any(
            each["type"] == condition and each["status"] == "True"
            for each in status.get("conditions", [])
        ):
            return status
    raise AssertionError(f"{name} was never {condition}")
