"""Every object of the chart's schema, with a place in values where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.chart_render import CHART

SCHEMA: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
KEYS = ("lab", "LAB", "/lab", "lab.yaml")
"""Keys for maps whose keys users choose; each such map takes one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object of the schema."""

    path: tuple[str, ...]
    """Keys and, in lists, indices that lead to it in values."""
    has_free_keys: bool
    """Whether its keys are the user's to choose."""


def schema_objects(node: Mapping[str, Any] = SCHEMA, path: tuple[str, ...] = ()) -> Iterator[Found]:
    """Go through a schema from the top."""
    node = resolved(node)
    if node.get("type") == "array" and isinstance(node.get("items"), dict):
        yield from schema_objects(node["items"], (*path, "0"))
    if node.get("type") != "object":
        return
    below = node.get("additionalProperties", True)
    yield Found(path=path, has_free_keys=below is not False)
    for name, child in node.get("properties", {}).items():
        yield from schema_objects(child, (*path, name))
    if isinstance(below, dict):
        pattern = node.get("propertyNames", {}).get("pattern", "")
        key = next(each for each in KEYS if re.search(pattern, each))
        yield from schema_objects(below, (*path, key))


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a node refers to, or the node."""
    while "$ref" in node:
        found: Any = SCHEMA
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def with_key(values: Any, path: tuple[str, ...], key: str) -> Any:
    """Values with a further key in the object at a path; what is not there on the way is made."""
    if not path:
        return {**(values if isinstance(values, dict) else {}), key: "x"}
    if path[0] == "0":
        first = values[0] if isinstance(values, list) and values else {}
        return [with_key(first, path[1:], key)]
    own = values if isinstance(values, dict) else {}
    return {**own, path[0]: with_key(own.get(path[0]), path[1:], key)}
