"""What the chart's schema has to say of a setting: what the settings themselves say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

KEPT = {
    *("additionalProperties", "anyOf", "const", "enum", "exclusiveMinimum", "items", "maximum"),
    *("minimum", "pattern", "type"),
}


def schema_of(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Type, limits, default and text of a field, in the few words of a chart's schema."""
    field = model.model_json_schema()["properties"][name]
    found = _plain(field)
    default = model.model_fields[name].default
    if default is not None and not isinstance(default, (Path, tuple)):
        found["default"] = field.get("default", default)
    found["description"] = " ".join(field["description"].split())
    return found


def _plain(field: Mapping[str, Any]) -> dict[str, Any]:
    """Without titles and formats; what may be null may be left out instead."""
    kept = {key: value for key, value in field.items() if key in KEPT}
    choices = [each for each in kept.pop("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        return _plain(choices[0])
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            if "$ref" in kept[key]:
                del kept[key]
            else:
                kept[key] = _plain(kept[key])
    return kept
