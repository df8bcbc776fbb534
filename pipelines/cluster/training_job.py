"""A training order as a PyTorchJob of the training operator. Knows no API server.

Restart policy: OnFailure. A pod that is preempted or evicted is made anew whatever the policy; one
that crashes starts again in place, with its inputs still on its disk, and the operator counts that
against the backoff limit. Under ExitCode (128 and more is retryable) every crash would be a new pod
with an empty disk, and the operator counts those nowhere, so that a loop of them would only end at
the deadline. What repeating does not help, exit status 2, the launcher sees and ends at once; where
no launcher looks on, the backoff limit ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeflow.training import models as kubeflow
from kubernetes import client as kubernetes
from pydantic import JsonValue

from pipelines.cluster.object_names import shortened
from pipelines.cluster.ownership import DIGEST, LABEL_LENGTH, annotated, owned_labels
from pipelines.cluster.pod_parts import (
    Json,
    container_security,
    mounted,
    placed,
    pod_security,
    resources,
    store_secrets,
    store_variables,
    variables,
)
from pipelines.cluster.profile import ClusterProfile, Training
from pipelines.jobs.order import TrainingOrder, order_key
from services.servicekit.digest import digest_of

API_VERSION = "kubeflow.org/v1"
KIND = "PyTorchJob"
PLURAL = "pytorchjobs"
CONTAINER = "pytorch"
"""The operator finds the container by this name."""

ORDER = "teachwhy.dev/order"
JOB_LABEL = "training.kubeflow.org/job-name"
ROLE_LABEL = "training.kubeflow.org/job-role"

MOST_NAME = 52
"""Most characters of a job's name; the operator adds "-worker-511" and makes services of it."""

METRICS_PORT = 9105
GRACE_SECONDS = 900
STOP_SECONDS = 600
"""Of the grace: for the last checkpoint. The rest is for its copy in the store."""

SCRATCH = "/scratch"
VOLUME = "/volume"
_GROUP = 10001
"""Group that may write to the volume; no image has to know it."""
_DIGITS = 10


def job_name(order: TrainingOrder) -> str:
    """Name of the job; the order's own, where the operator takes it.

    Its pods become services, so it begins with a letter and is short.
    """
    name = order.name if order.name[0].isalpha() else f"train-{order.name}"
    if len(name) > MOST_NAME:
        name = shortened(name, digest_of(order.name)[:_DIGITS], longest=MOST_NAME)
    return name


def training_job(order: TrainingOrder, profile: ClusterProfile) -> dict[str, Any]:
    """Write down the PyTorchJob that carries ``order`` out."""
    training = profile.training
    labels = {**owned_labels(profile, "training"), **training.labels, ORDER: order.name}
    spec = kubeflow.KubeflowOrgV1PyTorchJobSpec(
        nproc_per_node=str(training.processes),
        elastic_policy=_elastic(training),
        run_policy=_run_policy(training),
        pytorch_replica_specs={
            kind: _replica(order, profile, labels, kind, count)
            for kind, count in _replicas(training).items()
        },
    )
    plain = _plain(spec)
    digest = digest_of("pytorchjob", order.digest, plain)[:LABEL_LENGTH]
    job = kubeflow.KubeflowOrgV1PyTorchJob(
        api_version=API_VERSION,
        kind=KIND,
        metadata=kubernetes.V1ObjectMeta(
            name=job_name(order),
            namespace=profile.namespace,
            labels={**labels, DIGEST: digest},
            annotations=dict(profile.annotations) or None,
        ),
        spec=spec,
    )
    return _plain(job)


def needed_pods(training: Training) -> int:
    """Pods that must run for the training to go on."""
    return training.elastic.min_nodes if training.elastic else training.nodes


def _replicas(training: Training) -> dict[str, int]:
    if training.elastic:
        # Without a master the pods agree among themselves who leads, and may come and go.
        return {"Worker": training.elastic.max_nodes}
    workers = {"Worker": training.nodes - 1} if training.nodes > 1 else {}
    return {"Master": 1, **workers}


def _elastic(training: Training) -> Any:
    if training.elastic is None:
        return None
    return kubeflow.KubeflowOrgV1ElasticPolicy(
        rdzv_backend="c10d",
        min_replicas=training.elastic.min_nodes,
        max_replicas=training.elastic.max_nodes,
        max_restarts=training.elastic.max_restarts,
    )


def _run_policy(training: Training) -> Any:
    pods = sum(_replicas(training).values())
    return kubeflow.KubeflowOrgV1RunPolicy(
        clean_pod_policy="Running",
        ttl_seconds_after_finished=training.keep_seconds,
        active_deadline_seconds=training.deadline_seconds,
        # The operator adds up the restarts of all pods, which crash together, and gives up as
        # soon as the sum reaches the limit.
        backoff_limit=training.restarts * pods + 1,
    )


def _replica(
    order: TrainingOrder, profile: ClusterProfile, labels: Mapping[str, str], kind: str, count: int
) -> Any:
    leads = kind == "Master" or profile.training.elastic is not None
    # The pod is plain, as every pod here is; only what is the operator's own is typed.
    template: Json = {
        "metadata": {"labels": dict(labels), **annotated(profile)},
        "spec": _pod(order, profile, leads=leads),
    }
    return kubeflow.KubeflowOrgV1ReplicaSpec(
        replicas=count, restart_policy="OnFailure", template=template
    )


def _pod(order: TrainingOrder, profile: ClusterProfile, *, leads: bool) -> Json:
    training = profile.training
    volumes, mounts = _volumes(profile)
    shares: Json = {"fsGroup": _GROUP, "fsGroupChangePolicy": "OnRootMismatch"}
    account: Json = (
        {"serviceAccountName": training.service_account} if training.service_account else {}
    )
    return {
        "containers": [_container(order, profile, mounts=mounts, leads=leads)],
        "volumes": volumes,
        "securityContext": {**pod_security(), **(shares if training.volume else {})},
        **account,
        "automountServiceAccountToken": False,
        # Else a service of the namespace that is called "jobs" would set JOBS_PORT.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **placed(training.placement),
    }


def _container(
    order: TrainingOrder, profile: ClusterProfile, *, mounts: list[JsonValue], leads: bool
) -> Json:
    training = profile.training
    ports: Json = {"ports": [{"name": "metrics", "containerPort": METRICS_PORT}]} if leads else {}
    return {
        "name": CONTAINER,
        "image": training.image,
        "command": ["python", "-m", "pipelines.jobs", order_key(order.name)],
        "env": variables(_environment(profile, leads=leads)),
        **ports,
        "resources": resources(training.placement),
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def _environment(profile: ClusterProfile, *, leads: bool) -> dict[str, str]:
    environment = {
        **store_variables(profile.store, "JOBS_"),
        "JOBS_FOLDER": f"{SCRATCH}/job",
        "JOBS_STOP_SECONDS": str(STOP_SECONDS),
        "HOME": SCRATCH,
    }
    if profile.training.volume:
        environment["JOBS_CHECKPOINT_FOLDER"] = f"{VOLUME}/orders"
    if leads:
        environment["TRAINING_METRICS_PORT"] = str(METRICS_PORT)
    if profile.prices:
        # With it the program says how much of its GPUs it uses.
        environment["TRAINING_PEAK_TERAFLOPS"] = f"{profile.prices.gpu_teraflops:g}"
    return environment


def _volumes(profile: ClusterProfile) -> tuple[list[JsonValue], list[JsonValue]]:
    """Volumes of a pod, and where its container has them."""
    training = profile.training
    secrets, of_secrets = mounted(store_secrets(profile.store), ("store-keys", "store-ca"))
    volumes: list[JsonValue] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": training.scratch}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        *secrets,
    ]
    mounts: list[JsonValue] = [
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        *of_secrets,
    ]
    if size := training.placement.shared_memory:
        memory: Json = {"medium": "Memory", "sizeLimit": size}
        volumes.append({"name": "shared-memory", "emptyDir": memory})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108 - a volume
    if training.volume:
        claim: Json = {"claimName": training.volume.claim}
        volumes.append({"name": "volume", "persistentVolumeClaim": claim})
        mounts.append({"name": "volume", "mountPath": VOLUME})
    return volumes, mounts


def _plain(typed: Any) -> dict[str, Any]:
    """Return what the client would send."""
    plain: dict[str, Any] = kubernetes.ApiClient(
        kubernetes.Configuration()
    ).sanitize_for_serialization(typed)
    return plain
