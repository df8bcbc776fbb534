"""The objects that lead a service's requests to checkpoints in Standard mode, as data."""

from __future__ import annotations

from typing import Any

from pipelines.cluster.inference_service import (
    COMPONENT,
    POD_LABEL,
    SERVICE,
    described,
    local_only,
    variant_name,
)
from pipelines.cluster.ownership import DIGEST, LABEL_LENGTH, owned_labels
from pipelines.cluster.pod_parts import Json
from pipelines.cluster.predictor import PORT, Served
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.serving_status import Body
from pipelines.cluster.stored_checkpoint import StoredCheckpoint
from pipelines.experiment.traffic import Traffic
from services.servicekit.digest import digest_of

STABLE = "teachwhy.dev/stable"
CANDIDATE = "teachwhy.dev/candidate"
PERCENT = "teachwhy.dev/candidate-percent"
ROUTE_VERSION = "gateway.networking.k8s.io/v1"
_REPLY_SECONDS = 600
_ALL = 100


def address_name(service: str) -> str:
    """Name of the Service by which a service is reached in the cluster.

    It is what KServe would call it, so that one template of addresses leads to services as it
    leads to checkpoints that are measured.
    """
    return f"{service}-predictor"


def traffic_of(address: Body) -> Traffic:
    """Read who answers from a service's Service."""
    annotations = address["metadata"].get("annotations") or {}
    return Traffic(
        stable=annotations.get(STABLE, ""),
        candidate=annotations.get(CANDIDATE, ""),
        candidate_percent=int(annotations.get(PERCENT) or 0),
    )


def variant_body(service: str, checkpoint: StoredCheckpoint, profile: ClusterProfile) -> Json:
    """Write down the InferenceService with which a checkpoint answers a service's requests.

    Raises:
        NotServable: the runtime cannot serve the checkpoint.
    """
    served = Served(checkpoint=checkpoint.name, model=service, adapter=checkpoint.adapter)
    name = variant_name(service, checkpoint.name)
    body = described(name, served, checkpoint.digest, profile, service=service)
    return local_only(body, profile)  # the service's own route is the way in


def address_of(service: str, traffic: Traffic, profile: ClusterProfile) -> Any:
    """Write down the Service that leads to the stable checkpoint, and says who is tried."""
    annotations = {
        STABLE: traffic.stable,
        CANDIDATE: traffic.candidate,
        PERCENT: str(traffic.candidate_percent),
    }
    spec = {
        "selector": {POD_LABEL: variant_name(service, traffic.stable)},
        "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(address_name(service), service, profile, annotations, spec),
        "spec": spec,
    }


def route_of(service: str, traffic: Traffic, profile: ClusterProfile) -> Any:
    """Write down the HTTPRoute that splits what comes through the gateway."""
    namespace, _, gateway = profile.serving.gateway.partition("/")
    shares = {traffic.stable: _ALL - traffic.candidate_percent}
    if traffic.candidate:
        shares[traffic.candidate] = traffic.candidate_percent
    hostname = profile.serving.gateway_hostname.replace("{service}", service)
    spec = {
        "parentRefs": [{"namespace": namespace, "name": gateway}],
        **({"hostnames": [hostname]} if hostname else {}),
        "rules": [
            {
                "backendRefs": [
                    {
                        "name": f"{variant_name(service, checkpoint)}-predictor",
                        "port": 80,
                        "weight": share,
                    }
                    for checkpoint, share in shares.items()
                ],
                "timeouts": {"request": f"{_REPLY_SECONDS}s"},
            }
        ],
    }
    return {
        "apiVersion": ROUTE_VERSION,
        "kind": "HTTPRoute",
        "metadata": _metadata(service, service, profile, {}, spec),
        "spec": spec,
    }


def _metadata(
    name: str, service: str, profile: ClusterProfile, annotations: dict[str, str], spec: Any
) -> Any:
    labels = {**owned_labels(profile, COMPONENT), SERVICE: service}
    annotations = {**profile.annotations, **annotations}
    digest = digest_of(annotations, spec)[:LABEL_LENGTH]
    return {
        "name": name,
        "namespace": profile.namespace,
        "labels": {**labels, DIGEST: digest},
        "annotations": annotations,
    }


def refusal_of(route: Body) -> str | None:
    """Say why a gateway does not take a route; empty if it does, None while it says nothing."""
    metadata = route["metadata"]
    refusals = []
    is_told = False
    for parent in (route.get("status") or {}).get("parents") or ():
        for condition in parent.get("conditions") or ():
            if condition.get("observedGeneration", 0) < metadata.get("generation", 0):
                continue
            if condition.get("type") not in {"Accepted", "ResolvedRefs"}:
                continue
            is_told |= condition["type"] == "Accepted"
            if condition.get("status") == "False":
                refusals.append(
                    f"{condition['type']} is False: {condition.get('reason', '')} "
                    f"{condition.get('message', '')}".strip()
                )
    return "; ".join(refusals) if refusals or is_told else None
