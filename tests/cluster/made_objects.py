"""What a run really made in the fake cluster, held against what its plan said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from pipelines.cluster.job_launcher import MADE_BY
from tests.cluster.fake_kubernetes.registry import Registry
from tests.cluster.object_checks import faults_of

OWNED = ("app.kubernetes.io/managed-by", "teachwhy")
SAID = ("name", "namespace", "labels", "annotations")
"""Parts of an object's metadata that its maker says; the rest is the server's."""

Made = dict[tuple[str, str], dict[str, Any]]


def made_objects(registry: Registry, *, since: int = 0) -> Made:
    """Every object of ours that was made, as it was sent, by kind and name."""
    made = {}
    for change in registry.changes_after(since):
        metadata = change.body["metadata"]
        is_ours = OWNED in (metadata.get("labels") or {}).items()
        if change.kind == "ADDED" and is_ours and "ownerReferences" not in metadata:
            made[_key(change.body)] = _said(change.body)
    return made


def assert_as_planned(made: Made, plan: str) -> None:
    """Fail unless every object that was made is in the plan's YAML, word for word, and valid."""
    planned = {_key(body): _said(body) for body in yaml.safe_load_all(plan)}
    assert made, "nothing was made"
    assert {key: planned.get(key) for key in made} == made
    assert dict(_faults(made)) == {}


def _faults(made: Made) -> Iterator[tuple[tuple[str, str], list[str]]]:
    for key, body in made.items():
        if found := faults_of(body):
            yield key, found


def _key(body: dict[str, Any]) -> tuple[str, str]:
    return body["kind"], body["metadata"]["name"]


def _said(body: dict[str, Any]) -> dict[str, Any]:
    """The object without what the server and its operators add, and without who made it."""
    own = body["metadata"]
    noted = {key: text for key, text in own.get("annotations", {}).items() if key != MADE_BY}
    metadata = {name: own[name] for name in SAID if own.get(name)}
    metadata = {**metadata, "annotations": noted}
    rest = {name: body[name] for name in body if name not in {"metadata", "status"}}
    return {**rest, "metadata": metadata}
