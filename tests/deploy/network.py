"""Network policies as a cluster's plugin reads them: who may open a connection to whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.deploy.charts import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A pod, or an address outside the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "lab"
    address: str = "10.0.0.1"
    is_outside: bool = False


def may_connect(
    policies: list[Body], source: Place, target: Place, port: int, protocol: str = "TCP"
) -> bool:
    """Whether both ends let the connection pass.

    Policies are those of the namespace "lab"; pods elsewhere have none.
    """
    asked = (port, protocol)
    return _passes(policies, "Egress", source, target, asked) and _passes(
        policies, "Ingress", target, source, asked
    )


def _passes(
    policies: list[Body], direction: str, pod: Place, peer: Place, asked: tuple[int, str]
) -> bool:
    if pod.is_outside or pod.namespace != "lab":
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    if not selecting:
        return True
    rules = (rule for spec in selecting for rule in spec.get(direction.lower()) or [])
    return any(_holds(rule, direction, peer, asked) for rule in rules)


def _holds(rule: Body, direction: str, peer: Place, asked: tuple[int, str]) -> bool:
    ports = [(each["port"], each["protocol"]) for each in rule.get("ports", [])]
    peers = rule.get("to" if direction == "Egress" else "from", [])
    return (not ports or asked in ports) and (not peers or any(_is(peer, one) for one in peers))


def _is(place: Place, peer: Body) -> bool:
    if "ipBlock" in peer:
        return ip_address(place.address) in ip_network(peer["ipBlock"]["cidr"])
    if place.is_outside:
        return False
    of_namespace = {"kubernetes.io/metadata.name": place.namespace}
    in_namespace = (
        selects(peer["namespaceSelector"], of_namespace)
        if "namespaceSelector" in peer
        else place.namespace == "lab"
    )
    return in_namespace and selects(peer.get("podSelector", {}), place.labels)


def selects(selector: Body, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects an object with these labels."""
    return all(
        labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()
    ) and all(_matches(each, labels) for each in selector.get("matchExpressions", []))


def _matches(expression: Any, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "Exists":
            return value is not None
        case other:
            raise ValueError(f"nobody here knows the operator {other}")


def pods_of(objects: list[Body]) -> Iterator[tuple[str, Place]]:
    """Pods that a chart's own objects become, by name of the object."""
    for body in objects:
        spec = body.get("spec", {})
        match body["kind"]:
            case "Deployment" | "StatefulSet":
                labels = spec["template"]["metadata"]["labels"]
            case "CronJob":
                labels = spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
            case "Pod":
                labels = body["metadata"]["labels"]
            case "InferenceService":
                # KServe adds its own.
                name = body["metadata"]["name"]
                labels = {**spec["predictor"]["labels"], "serving.kserve.io/inferenceservice": name}
            case _:
                continue
        yield body["metadata"]["name"], Place(labels=labels)
