"""Profiles of clusters that serve, for the tests of serving."""

from typing import Any

from pipelines.cluster.profile import ClusterProfile

STOCK: dict[str, Any] = {"kind": "huggingface", "args": ["--max-model-len=8192"]}
OWN: dict[str, Any] = {"kind": "teachwhy", "image": "registry.example/teachwhy-serving:1"}
GPU: dict[str, Any] = {
    "gpus": 1,
    "cpu": "8",
    "memory": "64Gi",
    "shared_memory": "8Gi",
    "node_selector": {"accelerator": "h100"},
    "tolerations": [{"key": "nvidia.com/gpu"}],
    "priority_class": "batch",
}


STORE = {
    "endpoint": "minio.teachwhy.svc:9000",
    "bucket": "teachwhy",
    "secure": False,
    "credentials_secret": "bucket-keys",
}


def serving_profile(
    runtime: dict[str, Any] = OWN,
    *,
    namespace: str = "teachwhy",
    store: dict[str, Any] | None = None,
    **serving: Any,
) -> ClusterProfile:
    """A profile with this runtime and these values of ``serving``."""
    return ClusterProfile.model_validate(
        {
            "namespace": namespace,
            "store": store or STORE,
            "training": {"image": "registry.example/teachwhy-training:1"},
            "serving": {"runtime": runtime, "service_account": "bucket-reader", **serving},
            "labels": {"team": "alignment"},
            "annotations": {"contact": "alignment@example.org"},
        }
    )
