"""Orders and profiles for the tests of training in a cluster."""

from typing import Any

from pipelines.cluster.profile import ClusterProfile
from pipelines.jobs.order import TrainingOrder
from services.servicekit.storage.port import ObjectStore


def order(name: str = "why-s0", *, digest: str = "5ca1e") -> TrainingOrder:
    """An order; nothing of it has to be carried out."""
    return TrainingOrder(
        name=name,
        digest=digest,
        output=f"checkpoints/{name}",
        program="0" * 64,
        spec={"steps": 1},
        folders={},
        parameters={},
        inputs={},
    )


def publish_checkpoint(store: ObjectStore, wanted: TrainingOrder) -> None:
    """Do what a job does last."""
    wanted.published(store).publish(
        kind="checkpoint",
        digest=wanted.digest,
        parameters={},
        inputs={},
        counts={"steps": 1, "tokens": 1},
        files={"config.json": b"{}"},
    )


def training_profile(*, namespace: str = "teachwhy", **training: Any) -> ClusterProfile:
    """A profile with these values of ``training``."""
    return ClusterProfile.model_validate(
        {
            "namespace": namespace,
            "outage_seconds": 2,
            "store": {
                "endpoint": "minio.teachwhy.svc:9000",
                "bucket": "teachwhy",
                "secure": False,
                "credentials_secret": "bucket-keys",
            },
            "training": {"image": "registry.example/teachwhy-training:1", **training},
            "serving": {"runtime": {"kind": "huggingface"}, "service_account": "bucket-reader"},
            "labels": {"team": "alignment"},
            "annotations": {"contact": "alignment@example.org"},
        }
    )
