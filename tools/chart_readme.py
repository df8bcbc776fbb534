"""Writes the tables of values into the chart's README.md.

Their texts are the comments in values.yaml and, for maps without keys there, values.schema.json.

python -m tools.chart_readme            write it
python -m tools.chart_readme --check    does it say what values.yaml says?
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tools.chart_render import CHART

VALUES = CHART / "values.yaml"
README = CHART / "README.md"
BEGIN = "<!-- values: written by `python -m tools.chart_readme` -->"
END = "<!-- values: end -->"

SCHEMA = CHART / "values.schema.json"
_ROOMS = "properties/services/properties"
_ENDPOINT = "properties/modelEndpoints/additionalProperties"
MAPS = {
    "serviceDefaults.config": "definitions/commonConfig",
    **{
        f"services.{room}.config": f"{_ROOMS}/{room}/properties/config"
        for room in ("dataset", "rollout", "judge", "scoreboard")
    },
    "services.<room>.mounts.<folder>": "definitions/mounts/additionalProperties",
    "modelEndpoints.<name>": _ENDPOINT,
    "modelEndpoints.<name>.apiKey": f"{_ENDPOINT}/properties/apiKey",
    "modelEndpoints.<name>.settings": f"{_ENDPOINT}/properties/settings",
    "serving.config": "properties/serving/properties/config",
    "serving.services.<name>": "properties/serving/properties/services/additionalProperties",
    "monitoring.rules.alerts.<Alert>": "definitions/alert",
}
"""Where the schema says what a map may hold, by the map's path."""

_ROOM = re.compile(r"^services\.\w+\.(.+)$")
_COMMENT = "# -- "


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of the chart."""

    path: str
    """Example: "services.rollout.port"."""
    default: object
    text: str
    """What values.yaml says of it; empty where it says nothing."""
    line: int


def read_values() -> list[Value]:
    """Every leaf of values.yaml, in order. What a room overrides has the text of its default."""
    text = VALUES.read_text("utf-8")
    lines = text.splitlines()
    whole = yaml.compose(text)
    assert whole is not None, "there are values"
    found = list(_leaves(whole, "", lines))
    texts = {value.path: value.text for value in found}
    return [value if value.text else _inheriting(value, texts) for value in found]


def _inheriting(value: Value, texts: dict[str, str]) -> Value:
    room = _ROOM.match(value.path)
    inherited = texts.get(f"serviceDefaults.{room[1]}", "") if room else ""
    return Value(path=value.path, default=value.default, text=inherited, line=value.line)


def _leaves(node: yaml.Node, path: str, lines: list[str]) -> Iterator[Value]:
    assert isinstance(node, yaml.MappingNode), "values are a mapping"
    for key, value in node.value:
        where = f"{path}.{key.value}".lstrip(".")
        text = _comment_above(lines, key.start_mark.line) if not node.flow_style else ""
        if isinstance(value, yaml.MappingNode) and value.value and not (text and value.flow_style):
            yield from _leaves(value, where, lines)
        else:
            yield Value(path=where, default=_plain(value), text=text, line=key.start_mark.line + 1)


def _plain(node: yaml.Node) -> object:
    return yaml.safe_load(yaml.serialize(node))


def _comment_above(lines: list[str], line: int) -> str:
    start = line
    while start > 0 and lines[start - 1].strip().startswith("#"):
        start -= 1
    words = [each.strip().removeprefix("#").strip() for each in lines[start:line]]
    if not words or not lines[start].strip().startswith(_COMMENT):
        return ""
    return " ".join(words).removeprefix("-- ")


def table() -> str:
    """All values as Markdown, a table for each top-level key."""
    parts: dict[str, list[str]] = {}
    for value in read_values():
        shown = json.dumps(value.default, ensure_ascii=False)
        row = f"| `{value.path}` | `{shown}` | {_escaped(value.text)} |"
        parts.setdefault(value.path.split(".")[0], []).append(row)
    return "\n".join(
        f"### {name}\n\n| Value | Default | What |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        for name, rows in parts.items()
    )


def table_of_maps() -> str:
    """What each entry of a map may have, as Markdown."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    rows = [row for path, where in MAPS.items() for row in _rows(schema, path, where)]
    return (
        "### What the maps hold\n\n| Value | Default | What |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _rows(schema: Any, path: str, where: str) -> Iterator[str]:
    for step in where.split("/"):
        schema = schema[step]
    for name, field in schema["properties"].items():
        if "description" in field:  # others have a path of their own, or are those of all rooms
            default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
            yield f"| `{path}.{name}` | {default} | {_escaped(field['description'])} |"


def _escaped(text: str) -> str:
    return re.sub(r"([|<])", r"\\\1", text)


def written(readme: str) -> str:
    """The README with the tables in their place."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{table_of_maps()}\n{END}{after}"


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    is_check = parser.parse_args().check
    kept = README.read_text("utf-8")
    wanted = written(kept)
    if is_check and kept != wanted:
        print("the table in the chart's README.md is old: python -m tools.chart_readme")
        return 1
    if not is_check:
        README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
