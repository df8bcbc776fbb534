"""Monitors find what has metrics, rules and dashboards are the files of the chart, and no more."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cluster import predictor, training_job
from services.servicekit import metrics
from tests.cluster.training_orders import order
from tests.deploy.charts import KNOWN, Body, helm_of, objects_of, of_kind, parsed, rendered, set_to
from tests.deploy.network import selects
from tests.deploy.object_faults import faults
from tests.deploy.of_runs import pods_of_runs, profile_of
from tools.chart_render import CHART, ChartRefused, render
from tools.helm_binaries import MAJORS

RENDERED = "monitoring.renderMode=alwaysRender"
OPERATED = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart with one file of rules and one dashboard."""
    copied = tmp_path / "teachwhy"
    shutil.copytree(CHART, copied)
    for folder in ("alerts", "dashboards"):
        shutil.rmtree(copied / folder, ignore_errors=True)
        (copied / folder).mkdir()
    (copied / "alerts" / "services.yaml").write_text(
        """groups:
  - name: services
    interval: 1m
    rules:
      - record: teachwhy:calls:rate5m
        expr: sum by (job) (rate(teachwhy_rpc_handled_total[5m]))
      - alert: RoomDown
        expr: up{job="judge"} == 0
        for: 5m
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.job }} is down"
          runbook_url: somewhere
"""
    )
    (copied / "dashboards" / "services.json").write_text(
        '{\n  "title": "Services",\n  "legend": "{{job}} {{ $x }}"\n}\n'
    )
    return copied


def made_by(chart: Path, *pairs: str) -> list[Body]:
    flags = [flag for pair in (RENDERED, "minio.enabled=true", *pairs) for flag in ("--set", pair)]
    return parsed(render(helm_of(MAJORS[-1]), flags=flags, chart=chart))


def test_the_service_monitor_finds_every_room_and_nothing_else() -> None:
    objects = set_to(RENDERED)
    monitor = of_kind(objects, "ServiceMonitor")["teachwhy-rooms"]["spec"]
    found = {
        name
        for name, body in of_kind(objects, "Service").items()
        if selects(monitor["selector"], body["metadata"]["labels"])
    }

    assert found == {f"teachwhy-{room}" for room in ("dataset", "judge", "rollout", "scoreboard")}
    ports = {each["port"] for each in monitor["endpoints"]}
    for name in found:
        service = of_kind(objects, "Service")[name]
        assert ports <= {each["name"] for each in service["spec"]["ports"]}


def test_pod_monitors_find_what_runs_create(tmp_path: Path) -> None:
    objects = set_to(RENDERED)
    monitors = of_kind(objects, "PodMonitor")
    pods = pods_of_runs(profile_of(objects, tmp_path))
    found = {
        name: {
            pod for pod, place in pods.items() if selects(body["spec"]["selector"], place.labels)
        }
        for name, body in monitors.items()
    }

    assert found == {"teachwhy-training": {"a training"}, "teachwhy-serving": {"a checkpoint"}}
    job: Any = training_job.training_job(order(), profile_of(objects, tmp_path))
    pod = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    (port,) = pod["containers"][0]["ports"]
    assert monitors["teachwhy-training"]["spec"]["podMetricsEndpoints"][0]["port"] == port["name"]
    assert port["containerPort"] == training_job.METRICS_PORT == 9105
    (endpoint,) = monitors["teachwhy-serving"]["spec"]["podMetricsEndpoints"]
    assert endpoint["targetPort"] == predictor.PORT


def test_targets_are_jobs_by_the_name_of_their_component() -> None:
    objects = set_to(RENDERED)

    for kind in ("ServiceMonitor", "PodMonitor"):
        for body in of_kind(objects, kind).values():
            assert body["spec"]["jobLabel"] == "app.kubernetes.io/component"


def test_keda_asks_for_a_metric_that_rooms_have() -> None:
    (scaled, *_) = of_kind(objects_of("keda"), "ScaledObject").values()
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]

    (metric,) = metrics.RPC_IN_FLIGHT.collect()
    assert query == f'sum({metric.name}{{namespace="lab", job="rollout"}})'


def test_a_cluster_without_the_operator_gets_none_of_its_objects() -> None:
    kinds = {body["kind"] for body in set_to()}

    assert OPERATED.isdisjoint(kinds)


def test_a_cluster_with_the_operator_gets_them() -> None:
    objects = rendered(flags=("--set", "minio.enabled=true", *KNOWN))

    assert {"ServiceMonitor", "PodMonitor"} <= {body["kind"] for body in objects}


def test_monitoring_can_be_demanded() -> None:
    flags = ("--set", "minio.enabled=true", "--set", "monitoring.renderMode=failIfMissing")

    with pytest.raises(ChartRefused, match=r"does not know monitoring\.coreos\.com/v1"):
        rendered(flags=flags)
    assert {"ServiceMonitor"} <= {body["kind"] for body in rendered(flags=(*flags, *KNOWN))}


def test_rules_are_those_of_the_files_and_name_their_runbooks(chart: Path) -> None:
    kept = yaml.safe_load((chart / "alerts" / "services.yaml").read_text())["groups"]
    (rule,) = of_kind(
        made_by(chart, "monitoring.rules.runbookUrl=https://wiki.example.com/books"),
        "PrometheusRule",
    ).values()

    assert faults(rule) == []
    (alert,) = (each for each in kept[0]["rules"] if "alert" in each)
    alert["annotations"]["runbook_url"] = "https://wiki.example.com/books/RoomDown.md"
    assert rule["spec"]["groups"] == kept


def test_dashboards_are_the_files_as_they_are(chart: Path) -> None:
    objects = made_by(
        chart, "monitoring.dashboards.label=board", "monitoring.dashboards.labelValue=yes"
    )
    board = of_kind(objects, "ConfigMap")["teachwhy-dashboard-services"]

    assert board["data"] == {"services.json": (chart / "dashboards/services.json").read_text()}
    assert board["metadata"]["labels"]["board"] == "yes"
    assert board["metadata"]["annotations"] == {"grafana_folder": "teachwhy"}


@pytest.mark.parametrize("part", ["monitors", "rules", "dashboards"])
def test_each_part_of_monitoring_can_be_left_out(chart: Path, part: str) -> None:
    kinds = {
        "monitors": {"ServiceMonitor", "PodMonitor"},
        "rules": {"PrometheusRule"},
        "dashboards": {"Dashboard"},
    }
    objects = made_by(chart, f"monitoring.{part}.enabled=false")
    found = {body["kind"] for body in objects} & OPERATED
    if any("dashboard" in name for name in of_kind(objects, "ConfigMap")):
        found.add("Dashboard")

    assert found == set().union(*kinds.values()) - kinds[part]


def test_every_file_of_rules_and_dashboards_becomes_an_object_that_is_taken() -> None:
    objects = set_to(RENDERED)
    rules = of_kind(objects, "PrometheusRule")
    boards = {name for name in of_kind(objects, "ConfigMap") if "-dashboard-" in name}

    assert set(rules) == {f"teachwhy-{path.stem}" for path in CHART.glob("alerts/*.yaml")}
    assert boards == {f"teachwhy-dashboard-{each.stem}" for each in CHART.glob("dashboards/*.json")}
    for body in rules.values():
        assert faults(body) == []


def test_further_labels_let_a_prometheus_select_what_is_its_own() -> None:
    for kind in OPERATED:
        for body in of_kind(objects_of("everything"), kind).values():
            assert body["metadata"]["labels"]["release"] == "prometheus"
