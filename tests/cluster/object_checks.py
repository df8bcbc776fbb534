"""Everything that can be found wrong with a Kubernetes object without a cluster.

A kind that nothing here can check is a fault, so no object stays unchecked.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes.client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from kubernetes_validate import utils

from tests.cluster import typed_check

Body = Mapping[str, Any]

VERSIONS = ("1.30", "1.37")
"""Kubernetes releases that objects must fit: some years apart."""

SCHEMAS = Path(__file__).with_name("schemas")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"}
VOLUMES |= {"projected", "secret"}
"""Kinds of volumes that the restricted standard allows."""

STAND_IN = "image-of-the-runtime"


def faults_of(body: Body) -> list[str]:
    """Say everything that is wrong with an object."""
    kind, api_version = body.get("kind", ""), body.get("apiVersion", "")
    check = _CUSTOM.get((api_version, kind))
    found = list(check(body)) if check else list(_kubernetes_faults(body))
    found += _metadata_faults(body.get("metadata", {}), "metadata")
    for where, metadata, pod in pod_templates(body):
        found += _metadata_faults(metadata, f"{where}.metadata")
        found += [f"{where}: {fault}" for fault in _pod_faults(pod)]
        found += [f"{where}: {fault}" for fault in restricted_faults(pod)]
    return found


def pod_templates(body: Body) -> Iterator[tuple[str, Body, Body]]:
    """Where each pod template of an object is, its metadata and its pod."""
    spec = body.get("spec", {})
    match body["kind"]:
        case "PyTorchJob":
            for name, replica in spec["pytorchReplicaSpecs"].items():
                template = replica["template"]
                yield f"{name}.template", template.get("metadata", {}), template["spec"]
        case "InferenceService":
            yield "predictor", {}, _predictor_pod(spec["predictor"])
        case "CronJob":
            template = spec["jobTemplate"]["spec"]["template"]
            yield "jobTemplate.template", template.get("metadata", {}), template["spec"]
        case "Job" | "Deployment" | "StatefulSet" | "DaemonSet":
            template = spec["template"]
            yield "template", template.get("metadata", {}), template["spec"]
        case "Pod":
            yield "pod", body["metadata"], spec


def restricted_faults(pod: Body) -> Iterator[str]:
    """What the restricted pod security standard, and our own rules, have against a pod.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is not allowed"
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {', '.join(sorted(kinds - VOLUMES))} is not allowed"
    of_pod = pod.get("securityContext", {})
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        own = container.get("securityContext", {})
        wanted = {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
            "runAsNonRoot": own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True,
            "seccompProfile": own.get("seccompProfile", of_pod.get("seccompProfile"))
            == {"type": "RuntimeDefault"},
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "no privileged": not own.get("privileged"),
            "no runAsUser 0": 0 not in (own.get("runAsUser"), of_pod.get("runAsUser")),
            "resources": {"cpu", "memory"}
            <= container.get("resources", {}).get("requests", {}).keys()
            and "memory" in container["resources"].get("limits", {}),
        }
        for what, is_kept in wanted.items():
            if not is_kept:
                yield f"container {container['name']}: {what} is missing or wrong"


def _predictor_pod(predictor: Body) -> Body:
    """The pod that KServe makes of a predictor, as far as we say what it is."""
    fields = set(kubernetes.client.V1PodSpec.attribute_map.values())
    pod = {name: value for name, value in predictor.items() if name in fields}
    if "model" in predictor:
        of_container = set(kubernetes.client.V1Container.attribute_map.values())
        own = {name: value for name, value in predictor["model"].items() if name in of_container}
        pod["containers"] = [
            {"name": "kserve-container", "image": STAND_IN, **own},
            *pod.get("containers", []),
        ]
    return pod


def _pod_faults(pod: Body) -> Iterator[str]:
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod}
    yield from _kubernetes_faults(whole)
    volumes = {each["name"] for each in pod.get("volumes", [])}
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        mounted = [each["name"] for each in container.get("volumeMounts", [])]
        paths = [each["mountPath"] for each in container.get("volumeMounts", [])]
        for name in sorted(set(mounted) - volumes):
            yield f"container {container['name']}: mounts {name}, which is no volume of the pod"
        if len(set(paths)) < len(paths):
            yield f"container {container['name']}: mounts two volumes at one path"
        for kind, amounts in container.get("resources", {}).items():
            for name, amount in amounts.items():
                if not QUANTITY.fullmatch(amount):
                    yield f"container {container['name']}: {kind}.{name}: {amount!r} is no quantity"
        names = [each["name"] for each in container.get("env", [])]
        if len(set(names)) < len(names):
            yield f"container {container['name']}: sets a variable twice"


def _kubernetes_faults(body: Body) -> Iterator[str]:
    """Check an object against the schemas of Kubernetes; an unknown field is a fault."""
    for version in VERSIONS:
        validator = _validator(body.get("kind", ""), body.get("apiVersion", ""), version)
        if validator is None:
            yield f"{version}: nobody can check {body.get('apiVersion')} {body.get('kind')}"
            continue
        for error in validator.iter_errors(body):
            yield f"{version}: {error.json_path}: {error.message[:300]}"


@functools.cache
def _validator(kind: str, api_version: str, version: str) -> Draft202012Validator | None:
    """What ``kubernetes-validate --strict`` makes for a kind, kept, since it reads megabytes."""
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    try:
        schema = _contents(f"{folder}/{kind.lower()}-{group}.json", version)
    except FileNotFoundError:
        return None
    definitions = utils.Resource.from_contents(_contents(f"{folder}/_definitions.json", version))
    registry = definitions @ (utils.Resource.from_contents(schema) @ utils.Registry())
    return Draft202012Validator(schema, registry=registry)


@functools.cache
def _contents(name: str, version: str) -> Any:
    return utils.schema_contents(name, version)


def _typed(kind: str) -> Callable[[Body], Iterator[str]]:
    def check(body: Body) -> Iterator[str]:
        yield from typed_check.faults(body, kind)

    return check


def _of_schema(name: str) -> Callable[[Body], Iterator[str]]:
    def check(body: Body) -> Iterator[str]:
        schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
        for error in Draft202012Validator(schema).iter_errors(body):
            yield f"{error.json_path}: {error.message[:300]}"
        yield from typed_check.faults(body.get("metadata", {}), "V1ObjectMeta", "metadata")

    return check


_CUSTOM: Mapping[tuple[str, str], Callable[[Body], Iterator[str]]] = {
    ("kubeflow.org/v1", "PyTorchJob"): _typed("KubeflowOrgV1PyTorchJob"),
    ("serving.kserve.io/v1beta1", "InferenceService"): _typed("V1beta1InferenceService"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _of_schema("httproute-v1.json"),
}
"""Checks of kinds that are none of Kubernetes itself."""


def _metadata_faults(metadata: Body, where: str) -> Iterator[str]:
    name = metadata.get("name")
    if name is not None and not DNS_LABEL.fullmatch(name):
        yield f"{where}.name: {name!r} is no DNS label"
    for key, value in metadata.get("labels", {}).items():
        if not LABEL_KEY.fullmatch(key):
            yield f"{where}.labels: {key!r} is no key of a label"
        if not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            yield f"{where}.labels.{key}: {value!r} is no value of a label"
    for key, value in metadata.get("annotations", {}).items():
        if not LABEL_KEY.fullmatch(key) or not isinstance(value, str):
            yield f"{where}.annotations.{key}: {value!r} is no annotation"
