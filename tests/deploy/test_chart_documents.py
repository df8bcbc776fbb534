"""What documents say of the chart is what the chart has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from tests.contract.tree import ROOT
from tests.deploy.charts import merged, values_of
from tests.deploy.code_metrics import labels_by_series
from tests.deploy.rules import alerts, recorded_names
from tests.deploy.schema_objects import SCHEMA, resolved
from tests.deploy.test_chart_rooms import KEYS
from tools.chart_render import CHART

DEPLOY = ROOT / "deploy"
README = (CHART / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DEPLOY.rglob("*.md"))
}
ROOM_DOCUMENTS = sorted((ROOT / "services").glob("*/README.md"))
SECRETS = {
    "storage.existingSecret": KEYS["store"],
    "storage.caSecret": KEYS["store-ca"],
    "tls.existingSecret": KEYS["tls"],
    "auth.existingSecret": KEYS["auth"],
}
"""Keys that pods read, by the value that names the secret."""

FILE = re.compile(r"\.(json|yaml|key|crt)$")
"""Words with a point that may begin like a value and are files."""


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, its head left out."""
    below = text.partition(f"\n## {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table, heading
    return [line.strip("| ").split(" | ") for line in table[0].splitlines()[2:]]


def allows(path: list[str], node: Any = SCHEMA) -> bool:
    """Whether the schema has a value; a key in angle brackets is one that users choose."""
    node = resolved(node)
    if not path:
        return True
    name, rest = path[0], path[1:]
    below = node.get("properties", {}).get(name)
    if below is not None:
        return allows(rest, below)
    others = node.get("additionalProperties")
    if name.startswith("<") and node.get("properties"):
        return all(allows(rest, each) for each in node["properties"].values())
    return isinstance(others, dict) and allows(rest, others)


def test_the_readme_lists_every_folder_of_templates() -> None:
    named = {row[0].strip("`") for row in rows_of(README, "What is installed")}
    folders = {
        f"templates/{path.name}/" for path in (CHART / "templates").iterdir() if path.is_dir()
    }

    assert named == folders - {"templates/tests/"}


def test_the_readme_lists_every_secret_with_the_keys_that_pods_read() -> None:
    listed = {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[1])) for row in _secrets()}

    assert {name: keys for name, keys in listed.items() if keys} == SECRETS
    assert {name for name, keys in listed.items() if not keys} == {"modelEndpoints.<name>.apiKey"}


def _secrets() -> list[list[str]]:
    return rows_of(README, "Secrets")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_values_that_exist(document: str) -> None:
    keys = "|".join(SCHEMA["properties"])
    words = re.findall(rf"`((?:{keys})(?:\.[\w<>]+)+)(?:: [^`]*)?`", DOCUMENTS[document])

    values = [word for word in words if not FILE.search(word)]
    assert [value for value in values if not allows(value.split("."))] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_values_that_documents_show_fit_the_schema(document: str) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", DOCUMENTS[document], re.DOTALL):
        for shown in yaml.safe_load_all(block):
            if isinstance(shown, dict) and shown.keys() <= SCHEMA["properties"].keys():
                errors = Draft7Validator(SCHEMA).iter_errors(merged(values_of(), shown))
                assert [error.message for error in errors] == [], block


def test_the_readme_shows_how_alerts_are_tuned_and_where_runbooks_are() -> None:
    watching = README.partition("\n## Watching\n")[2].partition("\n## ")[0]

    assert "](../../runbooks/README.md)" in watching
    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", watching, re.DOTALL)[0])
    rules = shown["monitoring"]["rules"]
    assert rules["alerts"].keys() <= {rule["alert"] for rule in alerts()}
    assert rules["thresholds"].keys() <= values_of()["monitoring"]["rules"]["thresholds"].keys()


def test_every_dashboard_stands_in_the_list_of_dashboards() -> None:
    text = DOCUMENTS["deploy/helm/teachwhy/dashboards/README.md"]
    named = re.findall(r"^\| `(\w+\.json)` \|", text, re.MULTILINE)

    assert sorted(named) == [path.name for path in sorted(CHART.glob("dashboards/*.json"))]


def test_the_list_of_plain_files_names_every_file_of_rules() -> None:
    text = DOCUMENTS["deploy/prometheus/README.md"]

    assert [path.name for path in CHART.glob("alerts/*.yaml") if f"`{path.name}`" not in text] == []


@pytest.mark.parametrize("path", ROOM_DOCUMENTS, ids=lambda path: str(path.parent.name))
def test_metrics_that_a_room_lists_exist(path: Path) -> None:
    series = labels_by_series()
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series}
    known = {*series, *families, *recorded_names()}

    named = re.findall(r"`(teachwhy_[a-z0-9_]+[a-z0-9])`", path.read_text(encoding="utf-8"))
    assert [name for name in named if name not in known] == []
