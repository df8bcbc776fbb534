"""Names of resources and the API's own errors, as the fake's storage and server share them."""

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects by its path: group, version and plural."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


PODS = Resource("", "v1", "pods")
EVENTS = Resource("", "v1", "events")
SECRETS = Resource("", "v1", "secrets")
CONFIG_MAPS = Resource("", "v1", "configmaps")
SERVICES = Resource("", "v1", "services")
CLAIMS = Resource("", "v1", "persistentvolumeclaims")
NAMESPACES = Resource("", "v1", "namespaces")
PYTORCH_JOBS = Resource("kubeflow.org", "v1", "pytorchjobs")
INFERENCE_SERVICES = Resource("serving.kserve.io", "v1beta1", "inferenceservices")

KINDS = {
    "pods": "Pod",
    "events": "Event",
    "secrets": "Secret",
    "configmaps": "ConfigMap",
    "services": "Service",
    "serviceaccounts": "ServiceAccount",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "namespaces": "Namespace",
    "nodes": "Node",
    "jobs": "Job",
    "cronjobs": "CronJob",
    "deployments": "Deployment",
    "roles": "Role",
    "rolebindings": "RoleBinding",
    "networkpolicies": "NetworkPolicy",
    "pytorchjobs": "PyTorchJob",
    "inferenceservices": "InferenceService",
    "servingruntimes": "ServingRuntime",
    "clusterservingruntimes": "ClusterServingRuntime",
    "httproutes": "HTTPRoute",
    "gateways": "Gateway",
}
"""Kind of each plural; another plural takes the kind of the first object that is created."""


class ApiFault(Exception):
    """An answer of the API server that is no success."""

    def __init__(
        self, status: int, reason: str, message: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers or {}

    def body(self) -> Json:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.status,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history that watches read."""

    version: int
    kind: str
    """ADDED, MODIFIED or DELETED."""
    resource: Resource
    body: Json = field(repr=False)


def now() -> str:
    """This moment as the API writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def not_found(resource: Resource, name: str) -> ApiFault:
    return ApiFault(404, "NotFound", f'{resource} "{name}" not found')


def conflict(resource: Resource, name: str, why: str) -> ApiFault:
    return ApiFault(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": {why}')


def check_body(resource: Resource, body: Json, kind: str) -> None:
    """Refuse what a real server refuses before any schema is looked at."""
    if body.get("apiVersion") != resource.api_version:
        raise ApiFault(
            400,
            "BadRequest",
            f"the API version in the data ({body.get('apiVersion')}) does not match the "
            f"expected API version ({resource.api_version})",
        )
    if body.get("kind") != kind:
        raise ApiFault(
            400,
            "BadRequest",
            f"{body.get('kind')} in version {resource.version!r} cannot be handled as a {kind}",
        )
    metadata = body.get("metadata") or {}
    name = metadata.get("name") or ""
    if not name and not metadata.get("generateName"):
        raise _invalid(kind, "", "metadata.name: Required value: name or generateName is required")
    if name and not _SUBDOMAIN.fullmatch(name):
        raise _invalid(kind, name, f'metadata.name: Invalid value: "{name}"')
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            raise _invalid(kind, name, f"metadata.labels: Invalid value: {value!r} of {key}")


def _invalid(kind: str, name: str, why: str) -> ApiFault:
    return ApiFault(422, "Invalid", f'{kind} "{name}" is invalid: {why}')
