"""Everything that can be found wrong with an object of the chart without a cluster.

A kind that nothing here can check is a fault, so no object stays unchecked.
"""

import copy
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.cluster import typed_check
from tests.cluster.object_checks import _validator, faults_of, restricted_faults
from tests.deploy.charts import Body

OLDEST = "1.27"
"""What the chart says it needs; object_checks has two later ones."""

_SCHEMAS = {
    ("cert-manager.io/v1", "Certificate"): "certificate-v1.json",
    ("keda.sh/v1alpha1", "ScaledObject"): "scaledobject-v1alpha1.json",
    ("monitoring.coreos.com/v1", "PodMonitor"): "podmonitor-v1.json",
    ("monitoring.coreos.com/v1", "PrometheusRule"): "prometheusrule-v1.json",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "servicemonitor-v1.json",
}


def faults(body: Body) -> list[str]:
    """Say everything that is wrong with an object."""
    kind = (str(body["apiVersion"]), str(body["kind"]))
    own: dict[tuple[str, str], Callable[[Body], Iterator[str]]] = {
        **{key: functools.partial(_schema_faults, name) for key, name in _SCHEMAS.items()},
        ("serving.kserve.io/v1alpha1", "ServingRuntime"): _runtime_faults,
    }
    if kind in own:
        # Whatever has metadata: the checks of names and labels are those of a plain object.
        plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": body["metadata"]}
        return [*own[kind](body), *faults_of(plain)]
    return [*faults_of(_with_claims(body)), *_faults_in_the_oldest(body)]


def _with_claims(body: Body) -> Body:
    """The same with the volumes that a StatefulSet's claims become."""
    if body["kind"] != "StatefulSet":
        return body
    copied: Any = copy.deepcopy(body)
    spec = copied["spec"]
    claims = (each["metadata"]["name"] for each in spec["volumeClaimTemplates"])
    spec["template"]["spec"]["volumes"] += [{"name": name, "emptyDir": {}} for name in claims]
    return dict(copied)


def _faults_in_the_oldest(body: Body) -> Iterator[str]:
    if str(body["apiVersion"]).startswith(("serving.kserve.io/", "kubeflow.org/")):
        return
    validator = _validator(body["kind"], body["apiVersion"], OLDEST)
    assert validator is not None, f"Kubernetes {OLDEST} knows no {body['kind']}"
    for error in validator.iter_errors(body):
        yield f"{OLDEST}: {error.json_path}: {error.message[:300]}"


def _schema_faults(name: str, body: Body) -> Iterator[str]:
    for error in _schema(name).iter_errors(body):
        yield f"{error.json_path}: {error.message[:300]}"


@functools.cache
def _schema(name: str) -> Any:
    path = Path(__file__).parent / "schemas" / name
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def _runtime_faults(body: Body) -> Iterator[str]:
    yield from typed_check.faults(body, "V1alpha1ServingRuntime")
    spec = body["spec"]
    yield from restricted_faults({"containers": spec["containers"], "volumes": spec["volumes"]})
