"""The chart as both majors of Helm render it, each set of values once in a process."""

import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.chart_render import CHART, ci_files, render
from tools.helm_binaries import MAJORS, NoHelm, helm

Body = Mapping[str, Any]

CI = ci_files()
LATEST = MAJORS[-1]
KNOWN = ("--api-versions", "monitoring.coreos.com/v1")
"""Says that the cluster has the Prometheus operator."""


def helm_of(major: int) -> Path:
    """The Helm of this major. Where none can be had the tests say so, and fail in CI."""
    try:
        return helm(major)
    except NoHelm as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(f"DID NOT RUN: {error}")


@functools.cache
def text_of(name: str, major: int = LATEST) -> str:
    """What a file of ci/ becomes."""
    return render(helm_of(major), [CI[name]])


def rendered(*values: Path, flags: tuple[str, ...] = (), major: int = LATEST) -> list[Body]:
    """The objects that values become."""
    return parsed(render(helm_of(major), values, flags))


def set_to(*pairs: str) -> list[Body]:
    """The objects of a trial with some values set: "path=value"."""
    flags = ("--set", "minio.enabled=true", *(flag for pair in pairs for flag in ("--set", pair)))
    return rendered(flags=flags)


@functools.cache
def objects_of(name: str) -> list[Body]:
    """The objects that a file of ci/ becomes."""
    return parsed(text_of(name))


def parsed(text: str) -> list[Body]:
    """The objects of a stream of YAML."""
    return [body for body in yaml.safe_load_all(text) if body is not None]


def of_kind(objects: list[Body], kind: str) -> dict[str, Body]:
    """Objects of a kind by name."""
    return {body["metadata"]["name"]: body for body in objects if body["kind"] == kind}


def values_of(path: Path = CHART / "values.yaml") -> Any:
    """A file of values as Python has it."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def merged(base: Any, over: Any) -> Any:
    """What Helm makes of two files of values."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}


def variables_of(container: Body) -> dict[str, str]:
    """The plain variables of a container."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def containers_of(objects: list[Body]) -> Iterator[tuple[Body, Body, Body]]:
    """Every container with its object and its pod; predictors count as pods."""
    for body in objects:
        spec = body.get("spec", {})
        match body["kind"]:
            case "Deployment" | "StatefulSet":
                pod = spec["template"]["spec"]
            case "CronJob":
                pod = spec["jobTemplate"]["spec"]["template"]["spec"]
            case "Pod" | "ServingRuntime":
                pod = spec
            case "InferenceService":
                pod = spec["predictor"]
            case _:
                continue
        for container in pod.get("containers", []):
            yield body, pod, container
