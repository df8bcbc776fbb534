"""The dashboards as files: what Grafana can read, of metrics that the code has."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.contract.tree import ROOT
from tests.deploy.code_metrics import TARGET_LABELS, asked_for, exported, labels_by_series
from tools.dashboards.asking import read_page

CHART = ROOT / "deploy" / "helm" / "teachwhy"
FILES = sorted((CHART / "dashboards").glob("*.json"))
SCHEMA = Path(__file__).parent / "schemas" / "dashboard.json"
GRID_WIDTH = 24

OF_OTHERS: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_max_fds": frozenset(),
    "process_open_fds": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_start_time_seconds": frozenset(),
    "DCGM_FI_DEV_FB_USED": frozenset({"Hostname", "gpu"}),
    "DCGM_FI_DEV_GPU_UTIL": frozenset({"Hostname", "gpu"}),
}
"""Series that Prometheus, its client and NVIDIA's exporter make, with the labels used of them."""

NOWHERE: Mapping[str, str] = {}
"""Metrics that no dashboard and no rule uses, each with the reason."""

GRAFANA_ALONE_KNOWS = {"maxPerRow", "step", "titleFormat", "useValueForTime"}
"""Fields of panels and of Prometheus' marks that the published types leave out."""

Json = Mapping[str, Any]


def content_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def panels_of(path: Path) -> list[Json]:
    return [panel for panel in content_of(path)["panels"] if panel["type"] != "row"]


@pytest.fixture(params=FILES, ids=lambda path: str(path.stem))
def file(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def test_there_is_one_dashboard_for_each_audience() -> None:
    assert [path.stem for path in FILES] == ["alignment", "data", "services", "serving", "training"]
    assert [content_of(path)["uid"] for path in FILES] == [
        f"teachwhy-{each.stem}" for each in FILES
    ]


def test_the_files_are_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.dashboards", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_a_dashboard_has_only_what_the_schema_allows(file: Path) -> None:
    validator = Draft202012Validator(content_of(SCHEMA))

    errors = list(validator.iter_errors(content_of(file)))

    assert [f"{each.json_path}: {each.message}" for each in errors] == []


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((), "iteration"),
        (("panels", 1), "libraryPanel"),
        (("panels", 1, "targets", 0), "exemplars"),
        (("panels", 1, "fieldConfig", "defaults"), "units"),
        (("templating", "list", 1), "hidden"),
    ],
)
def test_the_schema_notices_a_field_that_does_not_exist(
    place: tuple[str | int, ...], name: str
) -> None:
    content = content_of(FILES[0])
    part = content
    for step in place:
        part = part[step]
    part[name] = 1

    assert not Draft202012Validator(content_of(SCHEMA)).is_valid(content)


def test_grafanas_published_types_read_it_and_lose_nothing(file: Path) -> None:
    register_default_plugins()
    content = content_of(file)

    written = json.loads(json.dumps(Dashboard.from_json(content), cls=JSONEncoder))

    assert list(_lost(content, written)) == []


def _lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from _lost(value, theirs[key], f"{path}/{key}")
            elif key not in GRAFANA_ALONE_KNOWS:
                yield f"{path}/{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _lost(one, other, f"{path}/{index}")
    elif ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


def test_a_dashboard_fits_into_a_config_map(file: Path) -> None:
    assert file.stat().st_size < 1_000_000, "Kubernetes takes 1 MiB at most"


def test_panels_have_numbers_of_their_own(file: Path) -> None:
    numbers = [panel["id"] for panel in content_of(file)["panels"]]

    assert len(numbers) == len(set(numbers))


def test_panels_lie_beside_each_other_and_within_the_width(file: Path) -> None:
    places = [panel["gridPos"] for panel in content_of(file)["panels"]]

    assert all(each["x"] + each["w"] <= GRID_WIDTH for each in places)
    overlaps = [
        (one, other) for one, other in itertools.combinations(places, 2) if _overlap(one, other)
    ]
    assert overlaps == []


def _overlap(one: Json, other: Json) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_a_repeated_panel_leaves_its_shelf_to_the_repetitions(file: Path) -> None:
    for panel in panels_of(file):
        if "repeat" in panel:
            beside = [
                each["title"]
                for each in panels_of(file)
                if each["gridPos"]["y"] == panel["gridPos"]["y"] and each is not panel
            ]
            assert [title for title in beside if title != panel["title"]] == []
            assert panel["maxPerRow"] * panel["gridPos"]["w"] == GRID_WIDTH


def test_no_two_panels_of_a_dashboard_share_a_title(file: Path) -> None:
    titles = [panel["title"] for panel in panels_of(file)]

    assert sorted(titles) == sorted(set(titles))


def test_overrides_and_bands_name_series_that_the_panel_has(file: Path) -> None:
    for panel in panels_of(file):
        organized = [
            each["options"]["renameByName"].values()
            for each in panel.get("transformations", ())
            if each["id"] == "organize"
        ]
        names = {target["legendFormat"] for target in panel["targets"]}.union(*organized)
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["options"] in names, panel["title"]
            for each in override["properties"]:
                if each["id"] == "custom.fillBelowTo":
                    assert each["value"] in names, panel["title"]


def test_every_variable_that_is_used_is_defined(file: Path) -> None:
    content = content_of(file)
    known = {each["name"] for each in content["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", file.read_text(encoding="utf-8")))

    # "$__all" is the value by which Grafana knows "everything".
    assert used - known == {each for each in used if each.startswith("__")}
    assert {panel["repeat"] for panel in panels_of(file) if "repeat" in panel} <= known


def test_every_expression_is_promql_over_series_that_exist(file: Path) -> None:
    series = {**labels_by_series(), **OF_OTHERS}

    for where, expression in read_page(file).expressions():
        for asked in asked_for(expression):
            assert asked.series in series, f"{where}: {asked.series}"
            strangers = asked.labels - series[asked.series] - TARGET_LABELS
            assert not strangers, f"{where}: {asked.series} has no {sorted(strangers)}"


def test_legends_name_labels_that_the_expressions_keep(file: Path) -> None:
    series = {**labels_by_series(), **OF_OTHERS}
    for panel in panels_of(file):
        for target in panel["targets"]:
            known = TARGET_LABELS.union(
                *(series[each.series] for each in asked_for(target["expr"]))
            )
            kept = set(re.findall(r"\bby \(([^)]*)\)", target["expr"]))
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert shown <= known, panel["title"]
            if kept:
                assert shown <= {label for each in kept for label in each.split(", ")}, panel[
                    "title"
                ]


def test_variables_ask_for_labels_that_exist(file: Path) -> None:
    series = labels_by_series()
    for variable in read_page(file).variables:
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert found
        for asked in asked_for(found[1]):
            assert {found[2], *asked.labels} <= series[asked.series] | TARGET_LABELS


def test_every_metric_of_the_code_is_on_a_dashboard_or_in_a_rule() -> None:
    used = {
        asked.series
        for expression in (*_on_dashboards(), *_in_rules())
        for asked in asked_for(expression)
    }

    unused = {each.family for each in exported() if not used & set(each.series)}

    assert unused == set(NOWHERE), "explain each in NOWHERE, or show it"


def _on_dashboards() -> Iterator[str]:
    for path in FILES:
        yield from (expression for _, expression in read_page(path).expressions())


def _in_rules() -> Iterator[str]:
    for path in (CHART / "alerts").glob("*.yaml"):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
