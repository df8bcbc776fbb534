"""Rules are what Prometheus takes, fire when they should, and name only what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from teachwhy.dataset.v1 import dataset_service_pb2
from teachwhy.judge.v1 import judge_service_pb2
from teachwhy.rollout.v1 import rollout_service_pb2
from teachwhy.scoreboard.v1 import scoreboard_service_pb2

from pipelines.__main__ import app
from tests.contract.tree import ROOT
from tests.deploy.exported import exported
from tests.deploy.live_monitoring import ALERTMANAGER, PROMETHEUS
from tests.deploy.monitoring_programs import run
from tests.deploy.rules import FILES, RUNBOOKS, alerts, named, recorded_names, rules

CASES = sorted((Path(__file__).parent / "promtool").glob("*_test.yaml"))
BASE = "https://github.com/teachwhy/teachwhy/blob/main/deploy/runbooks"
OF_OTHERS = {
    "up": "Prometheus itself",
    "process_cpu_seconds_total": "Prometheus' client",
    "process_resident_memory_bytes": "Prometheus' client",
    "training_operator_jobs_failed_total": "Kubeflow's training operator",
}
"""Metrics that others export, and who."""

OF_TARGETS = {"namespace", "job", "instance", "pod"}
"""Labels that Prometheus puts on what it scrapes."""

DURATIONS = "teachwhy:call_duration_seconds:p99_rate30m"
SERVICES = [
    service
    for module in (
        dataset_service_pb2,
        judge_service_pb2,
        rollout_service_pb2,
        scoreboard_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
]

LABELS = OF_TARGETS.union({"job_namespace"}, *exported().values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_prometheus_takes_the_rules(path: Path) -> None:
    checked = run("promtool", "check", "rules", path)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_and_alertmanager_take_the_plain_files() -> None:
    checked = run("promtool", "check", "config", PROMETHEUS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(FILES)} rule files found" in checked.stdout

    checked = run("amtool", "check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    tested = run("promtool", "test", "rules", path)

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_rule_that_alerts_is_seen_to_fire_and_to_stay_silent_twice() -> None:
    fired: dict[tuple[str, str], int] = {}
    silent: dict[str, int] = {}
    for path in CASES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                name = case["alertname"]
                silent[name] = silent.get(name, 0) + (not case["exp_alerts"])
                for each in case["exp_alerts"]:
                    key = (name, each["exp_annotations"]["summary"])
                    fired[key] = fired.get(key, 0) + 1

    assert {(rule["alert"], rule["annotations"]["summary"]) for rule in alerts()} == fired.keys()
    assert {name for name, times in silent.items() if times >= 2} == {
        rule["alert"] for rule in alerts()
    }


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_what_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    said = rule["annotations"]

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert said.keys() == {"summary", "description", "runbook_url"}
    assert said["summary"].endswith(".")
    assert "{{" not in said["summary"]
    assert "{{ $labels." in said["description"] or "{{ $value" in said["description"]
    assert said["runbook_url"] == f"{BASE}/{rule['alert']}.md"
    assert "for" in rule


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}

    assert pages == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in alerts()}))
def test_a_runbook_has_every_part_and_stands_in_the_list(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    severities = {rule["labels"]["severity"] for rule in alerts() if rule["alert"] == name}
    row = next(
        line for line in (RUNBOOKS / "README.md").read_text().splitlines() if f"[{name}]" in line
    )

    assert page.startswith(f"# {name}\n")
    for part in ("**How bad.**", "## First five minutes", "## Causes", "**Escalate", "**Do not**"):
        assert part in page, part
    assert "```promql" in page
    assert all(severity in row for severity in severities)


def test_runbooks_ask_only_what_prometheus_can_answer() -> None:
    known = exported().keys() | OF_OTHERS.keys() | set(recorded_names())
    strangers = []
    for path in sorted(RUNBOOKS.glob("*.md")):
        text = path.read_text()
        for block in re.findall(r"```promql\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                strangers += [
                    f"{path.name}: {name}" for name, _ in named(line).selectors if name not in known
                ]
        strangers += [
            f"{path.name}: {name}"
            for name in re.findall(r"teachwhy[:_][a-z0-9_:]+[a-z0-9]", text)
            if name not in known
        ]

    assert strangers == []


def test_runbooks_name_settings_values_and_commands_that_exist() -> None:
    values = yaml.safe_load((FILES[0].parents[1] / "values.yaml").read_text())
    commands = {
        each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands
    }
    strangers = []
    for path in sorted(RUNBOOKS.glob("*.md")):
        text = path.read_text()
        settings = re.findall(r"\b((?:DATASET|JUDGE|ROLLOUT|SCOREBOARD|SERVING)_[A-Z_]+)\b", text)
        strangers += [each for each in settings if not _is_setting(each)]
        named_values = re.findall(rf"`((?:{'|'.join(values)})\.[a-zA-Z.]+)`", text)
        strangers += [each for each in named_values if not _is_value(each, values)]
        used = re.findall(r"python -m pipelines ([a-z-]+)", text)
        strangers += [each for each in used if each not in commands]

    assert strangers == []


def _is_setting(variable: str) -> bool:
    room, _, field = variable.partition("_")
    texts = [
        (ROOT / "services" / name / "settings.py").read_text()
        for name in (room.lower(), "servicekit")
    ]
    return any(re.search(rf"^    {field.lower()}:", text, re.MULTILINE) for text in texts)


def _is_value(path: str, values: dict[str, Any]) -> bool:
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return found == {}
        found = found[key]
    return True


def test_links_of_runbooks_lead_somewhere() -> None:
    broken = [
        f"{path.name}: {link}"
        for path in (*RUNBOOKS.glob("*.md"), PROMETHEUS.parent / "README.md")
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text())
        if not (path.parent / link).exists()
    ]

    assert broken == []


def test_rules_use_metrics_that_exist_with_labels_that_they_have() -> None:
    recorded, faults = set(recorded_names()), []
    for rule in rules():
        found, who = named(rule["expr"]), rule.get("alert") or rule["record"]
        for metric, labels in found.selectors:
            if metric in recorded or metric in OF_OTHERS:
                continue
            if metric not in exported():
                faults.append(f"{who}: nobody exports {metric}")
            elif unknown := labels - exported()[metric] - OF_TARGETS:
                faults.append(f"{who}: {metric} has no {sorted(unknown)}")
        if unknown := found.grouped - LABELS:
            faults.append(f"{who}: no metric has {sorted(unknown)}")

    assert faults == []


def test_descriptions_name_labels_that_the_alert_has() -> None:
    named_labels = {
        label
        for rule in alerts()
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"])
    }

    assert named_labels <= LABELS


def test_every_recorded_series_is_read_somewhere() -> None:
    pages = (*FILES[0].parents[1].glob("dashboards/*.json"), *RUNBOOKS.glob("*.md"))
    text = "".join(path.read_text() for path in pages)
    read = {metric for rule in rules() for metric, _ in named(rule["expr"]).selectors}

    assert [name for name in recorded_names() if name not in read and name not in text] == []


OF_MODELS = {"RunEpisode", "JudgeEpisode"}
"""Calls that answer once and wait for models: their duration is not the room's."""


def test_every_method_has_one_limit_of_latency_unless_it_streams_or_waits_for_models() -> None:
    (latency,) = (rule for rule in alerts() if rule["alert"] == "RpcLatencyHigh")
    (measured,) = {
        pattern
        for rule in rules()
        if rule.get("record") in {DURATIONS, "teachwhy:timed_calls:increase30m"}
        for pattern in re.findall(r'grpc_method=~"([^"]+)"', rule["expr"])
    }
    (lookup,), (computed,) = (
        re.findall(rf'grpc_method{operator}"([^"]+)"', latency["expr"]) for operator in ("=~", "!~")
    )

    assert lookup == computed
    methods = [method for service in SERVICES for method in service.methods]
    for method in methods:
        is_ours = not (method.client_streaming or method.server_streaming)
        is_ours = is_ours and method.name not in OF_MODELS
        assert bool(re.fullmatch(measured, method.name)) is is_ours, method.name
    found = {method.name for method in methods if re.fullmatch(lookup, method.name)}
    assert {"ListSuites", "GetEvaluation", "RecordPromotion"} <= found
    assert {"CompareEvaluations", "CheckGate", "PlanDataset"}.isdisjoint(found)
