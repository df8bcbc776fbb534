"""Which objects are ours: labels that say who made an object, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from pipelines.cluster.profile import ClusterProfile

MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "teachwhy"
DIGEST = "teachwhy.dev/digest"
"""Digest of what an object was made from; another digest is another object."""

LABEL_LENGTH = 63
"""Most characters of a label's value."""


def owned_labels(profile: ClusterProfile, component: str) -> dict[str, str]:
    """Labels of everything that is created for a component."""
    return {
        **profile.labels,
        "app.kubernetes.io/name": OWNER,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": OWNER,
        MANAGED_BY: OWNER,
    }


def annotated(profile: ClusterProfile) -> dict[str, JsonValue]:
    """Part of the metadata of what is created: the profile's annotations, if it has any."""
    return {"annotations": dict(profile.annotations)} if profile.annotations else {}


def is_owned(body: Mapping[str, Any]) -> bool:
    """Whether a run made the object."""
    return label_of(body, MANAGED_BY) == OWNER


def is_same(body: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both were made from the same."""
    return label_of(body, DIGEST) == label_of(other, DIGEST)


def label_of(body: Mapping[str, Any], key: str) -> str:
    """Value of a label; empty if there is none."""
    return str((body["metadata"].get("labels") or {}).get(key, ""))
