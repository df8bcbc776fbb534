"""What runs a checkpoint in a cluster: the predictor of an InferenceService, as data.

Written as plain objects, because the typed ones cost a process 190 MiB; the tests hold them
against the typed ones. Knows no API server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import JsonValue

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
from pipelines.cluster.profile import ClusterProfile, HuggingFaceRuntime, OwnRuntime, Placement
from pipelines.outputs import CHECKPOINTS

CONTAINER = "kserve-container"
PORT = 8080
DRAIN_SECONDS = 30
GRACE_SECONDS = 45
CACHE_FOLDER = "/var/cache/teachwhy"
PROBE_SECONDS = 10
_PAUSE: list[JsonValue] = ["sleep", "5"]
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Adapter ranks that vLLM can be told to make room for."""


class NotServable(Exception):
    """A checkpoint cannot be hosted in this cluster. The message says which, why, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What a checkpoint needs that holds an adapter and no whole model."""

    start: str
    """Checkpoint that the adapter was trained on."""
    rank: int
    """Rank of its matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A checkpoint, and the name under which it answers."""

    checkpoint: str
    model: str
    """Name that clients ask for."""
    adapter: Adapter | None = None


def predictor(served: Served, profile: ClusterProfile, labels: dict[str, str]) -> Json:
    """Write down the pods that answer for a checkpoint.

    Args:
        served: what answers, and as whom.
        profile: the cluster.
        labels: labels of the pods.

    Raises:
        NotServable: the runtime cannot serve adapters.
    """
    serving = profile.serving
    if isinstance(serving.runtime, HuggingFaceRuntime):
        runs = _stock(served, serving.runtime, profile)
    else:
        runs = _own(served, serving.runtime, profile)
    is_standard = serving.mode == "Standard"
    # Knative takes only some fields of a pod, unless its feature flags allow more; what a
    # container can say for itself is said there.
    pod: Json = {"securityContext": pod_security()} if is_standard else {}
    if is_standard:
        pod["terminationGracePeriodSeconds"] = GRACE_SECONDS
    return {
        "serviceAccountName": serving.service_account,
        "automountServiceAccountToken": False,
        "minReplicas": serving.min_replicas,
        "maxReplicas": max(serving.min_replicas, serving.max_replicas),
        "labels": dict(labels),
        **pod,
        **placed(serving.placement),
        **runs,
    }


def _stock(served: Served, runtime: HuggingFaceRuntime, profile: ClusterProfile) -> Json:
    """KServe's own runtime; it copies the checkpoint from the bucket before it starts."""
    folder = f"s3://{profile.store.bucket}/{CHECKPOINTS}"
    source = f"{folder}/{served.checkpoint}"
    storage: Json = {}
    if served.adapter is None:
        args = [f"--model_name={served.model}", "--model_dir=/mnt/models"]
        model: Json = {"storageUri": source}
    else:
        storage["storageUris"] = [
            {
                "uri": f"{folder}/{served.adapter.start}",
                "mountPath": "/mnt/models/start",
            },
            {"uri": source, "mountPath": "/mnt/models/adapter"},
        ]
        # The whole model gets a name nobody asks for, so that no reply comes without the adapter.
        args = [
            f"--model_name={served.model}.start",
            "--model_dir=/mnt/models/start",
            "--enable-lora",
            f"--max-lora-rank={_room_for(served)}",
            f"--lora-modules={served.model}=/mnt/models/adapter",
        ]
        model = {}
    return {
        **storage,
        "model": {
            "modelFormat": {"name": "huggingface"},
            "runtime": runtime.runtime,
            **model,
            "args": [*args, *runtime.args],
            "env": [
                # The image's user may write nowhere else.
                {"name": "HOME", "value": "/tmp"},  # noqa: S108 - a volume of the pod's own
                {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
            ],
            **_container(served, profile, mounts=[]),
        },
        "volumes": _volumes(profile.serving.placement),
    }


def _own(served: Served, runtime: OwnRuntime, profile: ClusterProfile) -> Json:
    """Our predictor; it copies the checkpoint itself, and checks every file of it."""
    if served.adapter is not None:
        raise NotServable(
            f"checkpoint {served.checkpoint} holds an adapter, which the runtime 'teachwhy' does "
            "not serve; train with merge: true, or set serving.runtime.kind to huggingface in the "
            "cluster's file"
        )
    settings = {
        "HOST": "0.0.0.0",  # noqa: S104 - the pod's network is what it is there for
        "PORT": str(PORT),
        "CACHE_FOLDER": CACHE_FOLDER,
        "CHECKPOINTS": json.dumps([served.checkpoint]),
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        **store_variables(profile.store),
        **runtime.settings,
    }
    if served.model != served.checkpoint:
        settings["ALIASES"] = json.dumps({served.model: served.checkpoint})
    cache: Json = {"name": "cache", "mountPath": CACHE_FOLDER}
    secrets, mounts = mounted(store_secrets(profile.store), ("store", "store-ca"))
    return {
        "containers": [
            {
                "name": CONTAINER,
                "image": runtime.image,
                "command": ["python", "-m", "services.serving"],
                "env": variables({f"SERVING_{name}": text for name, text in settings.items()}),
                "ports": [{"containerPort": PORT, "protocol": "TCP"}],
                **_container(served, profile, mounts=[cache, *mounts]),
            }
        ],
        "volumes": [
            *_volumes(profile.serving.placement),
            {"name": "cache", "emptyDir": {}},
            *secrets,
        ],
    }


def _container(served: Served, profile: ClusterProfile, *, mounts: list[JsonValue]) -> Json:
    """Whatever any of the containers has."""
    placement = profile.serving.placement
    shared: list[JsonValue] = []
    if placement.shared_memory:
        shared = [{"name": "devshm", "mountPath": "/dev/shm"}]  # noqa: S108 - a volume, too
    # Requests still arrive for a moment after the end was announced; Knative sees to that itself.
    is_knative = profile.serving.mode == "Knative"
    pause: Json = {} if is_knative else {"lifecycle": {"preStop": {"exec": {"command": _PAUSE}}}}
    return {
        "resources": resources(placement),
        "securityContext": container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *shared, *mounts],  # noqa: S108
        **pause,
        **_probes(served, profile),
    }


def _probes(served: Served, profile: ClusterProfile) -> Json:
    # The stock server answers /v2/health/ready before its engine has loaded anything. Our own
    # knows a checkpoint by no other name.
    is_own = isinstance(profile.serving.runtime, OwnRuntime)
    known_as = served.checkpoint if is_own else served.model
    ready: Json = {
        "httpGet": {"path": f"/v2/models/{known_as}/ready", "port": PORT},
        "periodSeconds": PROBE_SECONDS,
        "timeoutSeconds": PROBE_SECONDS,
    }
    if profile.serving.mode == "Knative" or not is_own:
        return {"readinessProbe": ready}
    live: Json = {"httpGet": {"path": "/v2/health/live", "port": PORT}}
    patience = -(-profile.serving.ready_seconds // PROBE_SECONDS)
    return {
        "readinessProbe": ready,
        "livenessProbe": {**live, "periodSeconds": 20, "timeoutSeconds": PROBE_SECONDS},
        "startupProbe": {**live, "periodSeconds": PROBE_SECONDS, "failureThreshold": patience},
    }


def _volumes(placement: Placement) -> list[JsonValue]:
    volumes: list[JsonValue] = [{"name": "tmp", "emptyDir": {}}]
    if placement.shared_memory:
        # The stock runtime has one of this name, which this one takes the place of.
        shared = {"medium": "Memory", "sizeLimit": placement.shared_memory}
        volumes.append({"name": "devshm", "emptyDir": dict[str, JsonValue](shared)})
    return volumes


def _room_for(served: Served) -> int:
    assert served.adapter is not None, "asked for adapters only"
    for rank in RANKS:
        if rank >= served.adapter.rank:
            return rank
    raise NotServable(
        f"checkpoint {served.checkpoint} holds an adapter of rank {served.adapter.rank}; the "
        f"runtime serves ranks up to {RANKS[-1]}; train with merge: true"
    )
