"""What pods of every kind have: a place, a share of a node, few rights, and the bucket. As data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from pipelines.cluster.profile import Placement, Store

Json = dict[str, JsonValue]

STORE_FOLDER = "/run/secrets/teachwhy/store"
CA_FOLDER = "/run/secrets/teachwhy/store-ca"


def placed(placement: Placement) -> Json:
    """Write down which nodes a pod may be on, and how urgent it is."""
    found: Json = {}
    if placement.node_selector:
        found["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        each = (one.model_dump(mode="json") for one in placement.tolerations)
        found["tolerations"] = [{key: text for key, text in one.items() if text} for one in each]
    if placement.priority_class:
        found["priorityClassName"] = placement.priority_class
    return found


def resources(placement: Placement) -> Json:
    """Write down what a container asks for, which is also what it may have."""
    gpus = {placement.gpu_resource: str(placement.gpus)} if placement.gpus else {}
    amounts: Json = {"cpu": placement.cpu, "memory": placement.memory, **gpus}
    return {"requests": amounts, "limits": dict(amounts)}


def pod_security() -> Json:
    """What the restricted pod security standard wants of a pod."""
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> Json:
    """What the restricted pod security standard wants of a container, and a root it only reads."""
    return {
        **pod_security(),
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def variables(values: Mapping[str, str]) -> list[JsonValue]:
    """Write down a container's environment."""
    return [{"name": name, "value": value} for name, value in values.items()]


def store_variables(store: Store, prefix: str = "") -> dict[str, str]:
    """Say where the bucket is, as the settings of a process with this prefix, such as "JOBS_"."""
    settings = {
        "KIND": "s3",
        "ENDPOINT": store.endpoint,
        "BUCKET": store.bucket,
        "REGION": store.region,
        "SECURE": str(store.secure).lower(),
        "ACCESS_KEY_FILE": f"{STORE_FOLDER}/access_key",
        "SECRET_KEY_FILE": f"{STORE_FOLDER}/secret_key",
    }
    if store.ca_secret:
        settings["CA_FILE"] = f"{CA_FOLDER}/ca.crt"
    return {f"{prefix}STORE__{name}": value for name, value in settings.items()}


def store_secrets(store: Store) -> dict[str, str]:
    """Secrets that those settings speak of, by the folder that each is mounted at."""
    authorities = {CA_FOLDER: store.ca_secret} if store.ca_secret else {}
    return {STORE_FOLDER: store.credentials_secret, **authorities}


def mounted(
    secrets: Mapping[str, str], names: Iterable[str]
) -> tuple[list[JsonValue], list[JsonValue]]:
    """Volumes and mounts of secrets by folder; the volumes get these names, in their order."""
    volumes: list[JsonValue] = []
    mounts: list[JsonValue] = []
    for name, (folder, secret) in zip(names, secrets.items(), strict=False):
        volumes.append({"name": name, "secret": {"secretName": secret}})
        mounts.append({"name": name, "mountPath": folder, "readOnly": True})
    assert len(mounts) == len(secrets), "there is a name for each"
    return volumes, mounts
