"""The rule files of the chart, as Prometheus reads them, and what their expressions name."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted((DEPLOY / "helm" / "teachwhy" / "alerts").glob("*.yaml"))
RUNBOOKS = DEPLOY / "runbooks"


@functools.cache
def rules() -> tuple[Mapping[str, Any], ...]:
    """Every rule of every file."""
    contents = [yaml.safe_load(path.read_text()) for path in FILES]
    return tuple(rule for each in contents for group in each["groups"] for rule in group["rules"])


def alerts() -> list[Mapping[str, Any]]:
    """Those that alert."""
    return [rule for rule in rules() if "alert" in rule]


def recorded_names() -> list[str]:
    """Names that are recorded, once each."""
    return sorted({rule["record"] for rule in rules() if "record" in rule})


@dataclass(slots=True)
class Named:
    """What an expression names."""

    selectors: list[tuple[str, set[str]]] = field(default_factory=list)
    """Each metric, and the labels it is selected by."""
    grouped: set[str] = field(default_factory=set)
    """Labels that series are grouped or joined by."""


def named(expression: str) -> Named:
    """What a PromQL expression names.

    Raises:
        ValueError: it is none.
    """
    found = Named()
    for node in _walk(promql_parser.parse(expression)):
        if isinstance(node, promql_parser.VectorSelector):
            labels = {each.name for each in node.matchers.matchers}
            found.selectors.append((str(node.name), labels))
        modifier = getattr(node, "modifier", None)
        for part in (modifier, getattr(modifier, "matching", None)):
            found.grouped.update(getattr(part, "labels", None) or [])
    return found


def _walk(node: object) -> Iterator[object]:
    """Go through an expression; nodes have their operands under these names."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        child = getattr(node, name, None)
        if child is not None:
            yield from _walk(child)
    for child in getattr(node, "args", None) or []:
        yield from _walk(child)
