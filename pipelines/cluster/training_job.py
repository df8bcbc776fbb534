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

from pipelines.cluster.ownership import DIGEST, LABEL_LENGTH, owned_labels
from pipelines.cluster.profile import ClusterProfile, Placement, Training
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

SECRET_FOLDER = "/run/secrets/teachwhy/store"  # noqa: S105  (where a secret is mounted)
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
        kept = name[: MOST_NAME - _DIGITS - 1].rstrip("-")
        name = f"{kept}-{digest_of(order.name)[:_DIGITS]}"
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
    training = profile.training
    template = kubernetes.V1PodTemplateSpec(
        metadata=kubernetes.V1ObjectMeta(
            labels=dict(labels), annotations=dict(profile.annotations) or None
        ),
        spec=kubernetes.V1PodSpec(
            containers=[
                _container(order, profile, leads=kind == "Master" or bool(_elastic(training)))
            ],
            volumes=_volumes(profile),
            security_context=kubernetes.V1PodSecurityContext(
                run_as_non_root=True,
                fs_group=_GROUP if training.volume else None,
                fs_group_change_policy="OnRootMismatch" if training.volume else None,
                seccomp_profile=kubernetes.V1SeccompProfile(type="RuntimeDefault"),
            ),
            service_account_name=training.service_account,
            automount_service_account_token=False,
            # Else a service of the namespace that is called "jobs" would set JOBS_PORT.
            enable_service_links=False,
            termination_grace_period_seconds=GRACE_SECONDS,
            **_placed(training.placement),
        ),
    )
    return kubeflow.KubeflowOrgV1ReplicaSpec(
        replicas=count, restart_policy="OnFailure", template=template
    )


def _placed(placement: Placement) -> dict[str, Any]:
    return {
        "node_selector": dict(placement.node_selector) or None,
        "tolerations": [
            kubernetes.V1Toleration(
                **{key: value for key, value in each.model_dump().items() if value}
            )
            for each in placement.tolerations
        ]
        or None,
        "priority_class_name": placement.priority_class or None,
    }


def _container(order: TrainingOrder, profile: ClusterProfile, *, leads: bool) -> Any:
    training = profile.training
    amounts = {"cpu": training.placement.cpu, "memory": training.placement.memory}
    if training.placement.gpus:
        amounts[training.placement.gpu_resource] = str(training.placement.gpus)
    ports = [kubernetes.V1ContainerPort(name="metrics", container_port=METRICS_PORT)]
    return kubernetes.V1Container(
        name=CONTAINER,
        image=training.image,
        command=["python", "-m", "pipelines.jobs", order_key(order.name)],
        env=[
            kubernetes.V1EnvVar(name=name, value=value)
            for name, value in _environment(profile, leads=leads).items()
        ],
        ports=ports if leads else None,
        resources=kubernetes.V1ResourceRequirements(requests=amounts, limits=dict(amounts)),
        security_context=kubernetes.V1SecurityContext(
            allow_privilege_escalation=False,
            capabilities=kubernetes.V1Capabilities(drop=["ALL"]),
            read_only_root_filesystem=True,
            run_as_non_root=True,
            seccomp_profile=kubernetes.V1SeccompProfile(type="RuntimeDefault"),
        ),
        volume_mounts=[
            kubernetes.V1VolumeMount(
                name=name, mount_path=path, read_only=True if name == "store-keys" else None
            )
            for name, path in _mounts(training).items()
        ],
    )


def _environment(profile: ClusterProfile, *, leads: bool) -> dict[str, str]:
    store = profile.store
    environment = {
        "JOBS_STORE__KIND": "s3",
        "JOBS_STORE__ENDPOINT": store.endpoint,
        "JOBS_STORE__BUCKET": store.bucket,
        "JOBS_STORE__REGION": store.region,
        "JOBS_STORE__SECURE": str(store.secure).lower(),
        "JOBS_STORE__ACCESS_KEY_FILE": f"{SECRET_FOLDER}/access_key",
        "JOBS_STORE__SECRET_KEY_FILE": f"{SECRET_FOLDER}/secret_key",
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


def _mounts(training: Training) -> dict[str, str]:
    mounts = {"scratch": SCRATCH, "tmp": "/tmp", "store-keys": SECRET_FOLDER}  # noqa: S108
    if training.placement.shared_memory:
        mounts["shared-memory"] = "/dev/shm"  # noqa: S108  (a volume of the pod's own)
    if training.volume:
        mounts["volume"] = VOLUME
    return mounts


def _volumes(profile: ClusterProfile) -> list[Any]:
    training = profile.training
    secret = kubernetes.V1SecretVolumeSource(secret_name=profile.store.credentials_secret)
    volumes = [
        kubernetes.V1Volume(name="scratch", empty_dir=_folder(size_limit=training.scratch)),
        kubernetes.V1Volume(name="tmp", empty_dir=_folder(size_limit="1Gi")),
        kubernetes.V1Volume(name="store-keys", secret=secret),
    ]
    if size := training.placement.shared_memory:
        memory = _folder(medium="Memory", size_limit=size)
        volumes.append(kubernetes.V1Volume(name="shared-memory", empty_dir=memory))
    if training.volume:
        claim = kubernetes.V1PersistentVolumeClaimVolumeSource(claim_name=training.volume.claim)
        volumes.append(kubernetes.V1Volume(name="volume", persistent_volume_claim=claim))
    return volumes


def _folder(**size: str) -> Any:
    return kubernetes.V1EmptyDirVolumeSource(**size)


def _plain(typed: Any) -> dict[str, Any]:
    """Return what the client would send."""
    plain: dict[str, Any] = kubernetes.ApiClient(
        kubernetes.Configuration()
    ).sanitize_for_serialization(typed)
    return plain
