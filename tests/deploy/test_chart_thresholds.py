"""Alerts are tuned by values: every threshold, and each alert's switch, severity and patience.

The files in alerts/ stay plain ones: a threshold is the number before "# name" in an expression and
after "$name :=" in a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.charts import Body, helm_of, of_kind, parsed, rendered, values_of
from tests.deploy.monitoring_programs import run
from tests.deploy.rules import FILES, RUNBOOKS, alerts
from tools.chart_render import CHART, ChartRefused, render
from tools.helm_binaries import MAJORS

MARK = re.compile(r"([0-9.]+) # (\w+)$", re.MULTILINE)
IN_TEXT = re.compile(r"\$(\w+) := ([0-9.]+)")
COMPARED = re.compile(
    r"(?:[<>]=?|[!=]=)\s*(?:bool\s+)?((?:[0-9.]++ \* (?=[0-9]))*+[0-9.]++)(?! # )"
)
DEFAULTS: Mapping[str, float] = values_of()["monitoring"]["rules"]["thresholds"]
RULES_SCHEMA = json.loads((CHART / "values.schema.json").read_text())["properties"]["monitoring"][
    "properties"
]["rules"]["properties"]
NOT_TUNED = {
    "> 120": "TrainingFailed: seconds of work around a last scrape, not a matter of taste",
}
"""Comparisons with numbers other than 0 and 1 that no value sets, and why."""

ALWAYS = ("--set", "minio.enabled=true,monitoring.renderMode=alwaysRender")
OTHER = {
    name: number + 1 if number >= 1 else round(number * 0.75, 4)
    for name, number in DEFAULTS.items()
}
"""A value for each threshold that is not its default."""


def marks_of(rule: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every threshold of a rule with its number, wherever it stands."""
    for number, name in MARK.findall(rule["expr"]):
        yield name, float(number)
    for text in rule.get("annotations", {}).values():
        for name, number in IN_TEXT.findall(text):
            yield name, float(number)


def groups_of(objects: list[Body]) -> dict[str, Any]:
    """Groups of rules by the file that they are of."""
    return {
        name.removeprefix("teachwhy-"): body["spec"]["groups"]
        for name, body in of_kind(objects, "PrometheusRule").items()
    }


def rules_with(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Groups that the chart makes with these values below monitoring.rules."""
    path = folder / "values.yaml"
    path.write_text(json.dumps({"monitoring": {"rules": values}}))
    return groups_of(rendered(path, flags=ALWAYS))


def alerts_in(groups: Mapping[str, Any]) -> list[Any]:
    return [
        rule
        for file in groups.values()
        for group in file
        for rule in group["rules"]
        if "alert" in rule
    ]


def written(groups: Mapping[str, Any], folder: Path) -> list[Path]:
    """The groups as files that promtool reads."""
    folder.mkdir()
    paths = []
    for name, of_file in groups.items():
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump({"groups": of_file}))
    return paths


def test_every_threshold_of_the_files_is_a_value_and_has_its_default() -> None:
    marked = [mark for rule in alerts() for mark in marks_of(rule)]

    assert {name for name, _ in marked} == DEFAULTS.keys()
    assert {mark for mark in marked if mark[1] != DEFAULTS[mark[0]]} == set()


def test_a_number_that_an_alert_compares_with_is_a_threshold() -> None:
    unmarked = {
        found[0]
        for rule in alerts()
        for found in COMPARED.finditer(rule["expr"])
        if found[1] not in {"0", "1"}
    }

    assert unmarked == set(NOT_TUNED)


def test_files_have_no_comment_in_an_expression_but_names_of_thresholds() -> None:
    for rule in alerts():
        for line in rule["expr"].splitlines():
            assert "#" not in line or MARK.search(line), line


def test_a_text_says_the_threshold_that_its_expression_has() -> None:
    for rule in alerts():
        compared = {name for _, name in MARK.findall(rule["expr"])}
        for text in rule["annotations"].values():
            said = {name for name, _ in IN_TEXT.findall(text)}
            assert said <= compared, rule["alert"]
            assert all(text.count(f"${name}") > 1 for name in said), rule["alert"]


def test_values_of_alerts_have_names_and_ranges() -> None:
    thresholds, known = RULES_SCHEMA["thresholds"], RULES_SCHEMA["alerts"]["properties"]
    definitions = json.loads((CHART / "values.schema.json").read_text())["definitions"]

    assert thresholds["properties"].keys() == DEFAULTS.keys()
    assert known.keys() == {rule["alert"] for rule in alerts()}
    for name, field in thresholds["properties"].items():
        limits = definitions[field["$ref"].rsplit("/", 1)[1]] if "$ref" in field else field
        assert limits["type"] in {"number", "integer"}, name
        assert {"minimum", "exclusiveMinimum"} & limits.keys(), name


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(
    "wrong",
    [
        "thresholds.unscoredShares=0.2",
        "thresholds.unscoredShare=2",
        "thresholds.unscoredShare=0",
        "thresholds.minEpisodes=1.5",
        'thresholds.staleSeconds="10m"',
        'alerts.RoomDwn={"enabled": false}',
        'alerts.RoomDown={"enable": false}',
        'alerts.RoomDown={"severity": "bad"}',
        'alerts.RoomDown={"for": "soon"}',
    ],
)
def test_a_name_or_a_number_that_cannot_be_is_refused(major: int, wrong: str) -> None:
    flags = [*ALWAYS, "--set-json", f"monitoring.rules.{wrong}"]

    with pytest.raises(ChartRefused, match="schema"):
        render(helm_of(major), flags=flags)


@pytest.mark.parametrize("major", MAJORS)
def test_every_value_takes_the_place_of_its_default_and_changes_nothing_else(
    major: int, tmp_path: Path
) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps({"monitoring": {"rules": {"thresholds": OTHER}}}))
    groups = groups_of(parsed(render(helm_of(major), [path], ALWAYS)))

    assert groups.keys() == {path.stem for path in FILES}
    for file in FILES:
        text = file.read_text()
        for name, number in OTHER.items():
            text = re.sub(rf"[0-9.]+ # {name}$", f"{number:g} # {name}", text, flags=re.MULTILINE)
            text = text.replace(f"${name} := {DEFAULTS[name]:g}}}", f"${name} := {number:g}}}")
            text = text.replace(f"${name} := {DEFAULTS[name]:g} ", f"${name} := {number:g} ")
        assert groups[file.stem] == yaml.safe_load(text)["groups"]
    assert {mark for rule in alerts_in(groups) for mark in marks_of(rule)} == set(OTHER.items())


def test_prometheus_takes_the_rules_with_other_thresholds(tmp_path: Path) -> None:
    for path in written(rules_with({"thresholds": OTHER}, tmp_path), tmp_path / "rules"):
        checked = run("promtool", "check", "rules", path)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("limit", "num_alerts"), [(0.1, 1), (0.2, 0)])
def test_an_alert_fires_at_the_threshold_that_was_given(
    limit: float, num_alerts: int, tmp_path: Path
) -> None:
    labels = 'experiment="e", arm="a", train_tokens="1", split="held_out", kind="honeypot"'
    series = {
        "unscored_episodes": "6",  # of 40: 15 %
        "episodes": "40",
        "latest_evaluation_timestamp_seconds": "0",
    }
    groups = rules_with({"thresholds": {"unscoredShare": limit}}, tmp_path)
    told = {
        "summary": "Too many episodes have no verdict.",
        "description": "Arm a of experiment e at 1 tokens: 15% of the held_out honeypot episodes "
        f"have no score (limit {limit:.0%}). They count as neither safe nor harmful, so the rate "
        "says less than it seems to.",
        "runbook_url": groups["alignment"][0]["rules"][0]["annotations"]["runbook_url"].replace(
            "MisalignmentRateRegressed", "UnscoredShareHigh"
        ),
    }
    pairs = dict(re.findall(r'(\w+)="(\w+)"', labels))
    case = {
        "rule_files": [str(path) for path in written(groups, tmp_path / "rules")],
        "evaluation_interval": "1m",
        "group_eval_order": ["teachwhy-scoreboard-records", "teachwhy-alignment"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f"teachwhy_scoreboard_{name}{{{labels}}}", "values": f"{value}+0x30"}
                    for name, value in series.items()
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "20m",
                        "alertname": "UnscoredShareHigh",
                        "exp_alerts": [
                            {
                                "exp_labels": {**pairs, "severity": "warning"},
                                "exp_annotations": told,
                            }
                        ][:num_alerts],
                    }
                ],
            }
        ],
    }
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case))

    tested = run("promtool", "test", "rules", tmp_path / "case.yaml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_an_alert_can_be_left_out_made_patient_and_given_another_severity(tmp_path: Path) -> None:
    changes = {
        "RpcErrorBudgetBurn": {"enabled": False},
        "RoomDown": {"for": "1h"},
        "GateFailing": {"severity": "info", "enabled": True},
    }
    before = alerts_in(rules_with({}, tmp_path))
    after = alerts_in(rules_with({"alerts": changes}, tmp_path))

    kept = [rule for rule in before if rule["alert"] != "RpcErrorBudgetBurn"]
    assert [rule["alert"] for rule in after] == [rule["alert"] for rule in kept]
    for old, new in zip(kept, after, strict=True):
        match old["alert"]:
            case "RoomDown":
                assert new == {**old, "for": "1h"}
            case "GateFailing":
                assert new == {**old, "labels": {"severity": "info"}}
            case _:
                assert new == old


def test_further_labels_are_those_of_alerts_and_replace_none(tmp_path: Path) -> None:
    labels = {"team": "alignment", "severity": "none"}
    groups = rules_with({"alertLabels": labels}, tmp_path)

    for rule in alerts_in(groups):
        assert rule["labels"]["team"] == "alignment"
        assert rule["labels"]["severity"] in {"critical", "warning"}
    recorded = [rule for file in groups.values() for group in file for rule in group["rules"]]
    assert all("labels" not in rule for rule in recorded if "record" in rule)


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in alerts()}))
def test_a_runbook_says_by_which_values_its_alert_is_tuned(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    marks = {mark for rule in alerts() if rule["alert"] == name for mark in marks_of(rule)}
    said = re.findall(r"`monitoring\.rules\.thresholds\.(\w+)` \(([0-9.]+)\)", page)

    assert {(value, float(number)) for value, number in said} == marks
