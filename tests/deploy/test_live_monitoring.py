"""A real Prometheus sees real rooms: its rules hold, every query of the dashboards has an answer,
and an alert reaches whom it should.

One file, since what is watched is slow to begin and is shared by all tests of a process.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.experiment.local_services import GRPC_ROOMS, HOST, free_ports
from tests.deploy.code_metrics import asked_for
from tests.deploy.conftest import Live
from tests.deploy.live_mishaps import mishaps
from tests.deploy.live_monitoring import NAMESPACE, wait_for
from tests.deploy.rules import recorded_names
from tests.deploy.test_dashboards import FILES
from tests.experiment.tiny_run import ROOT
from tools.dashboards.asking import Page, Prometheus, Span, chosen, filled, read_page
from tools.render_dashboard import render

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOT_ON_A_CPU = {
    "DCGM_FI_DEV_FB_USED": "NVIDIA's exporter counts GPUs",
    "DCGM_FI_DEV_GPU_UTIL": "NVIDIA's exporter counts GPUs",
}
"""Series that no machine without a GPU has; expressions of these are parsed, elsewhere."""


@pytest.fixture(scope="module")
def watched(live: Live) -> Iterator[tuple[Prometheus, Span]]:
    with mishaps(live.prometheus, live.folder / "mishaps"):
        now = time.time()
        began = now - live.prometheus.age_seconds
        yield (
            Prometheus(live.prometheus.url),
            Span(start=began, end=now, step=1, rate_interval=10),
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_expression_and_mark_returns_numbers(
    path: Path, watched: tuple[Prometheus, Span]
) -> None:
    prometheus, span = watched
    page = read_page(path)
    silent = {
        where: expression
        for where, expression in page.expressions()
        if not any(each.series in NOT_ON_A_CPU for each in asked_for(expression))
    }
    assert silent

    for values in _choices(page, prometheus, span):
        for where, expression in list(silent.items()):
            if _has_numbers(prometheus, filled(expression, values), span):
                del silent[where]

    assert silent == {}


def _choices(page: Page, prometheus: Prometheus, span: Span) -> Iterator[dict[str, str]]:
    """What the page opens with, and the same for every other experiment."""
    first = chosen(page, prometheus, span)
    yield first
    for variable in page.variables:
        if variable["name"] == "experiment":
            query = filled(variable["query"]["query"], first)
            for other in prometheus.label_values(query, span):
                yield chosen(page, prometheus, span, {"experiment": other})


def _has_numbers(prometheus: Prometheus, expression: str, span: Span) -> bool:
    return any(
        math.isfinite(value)
        for series in prometheus.over(expression, span)
        for _, value in series.points
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_variable_has_values(path: Path, watched: tuple[Prometheus, Span]) -> None:
    prometheus, span = watched
    page = read_page(path)
    values = chosen(page, prometheus, span)

    for variable in page.variables:
        query = filled(variable["query"]["query"], values)
        assert prometheus.label_values(query, span), variable["name"]


def test_a_mark_stands_where_a_gate_was_decided(watched: tuple[Prometheus, Span]) -> None:
    prometheus, span = watched
    page = read_page(next(path for path in FILES if path.stem == "alignment"))
    values = chosen(page, prometheus, span, {"experiment": "tiny"})

    for event in page.events:
        found = prometheus.over(filled(event["expr"], values), span)
        times = {value / 1000 for series in found for _, value in series.points}
        assert times, event["name"]
        assert all(span.start <= each <= span.end for each in times), event["name"]


def test_a_dashboard_is_drawn_as_a_picture(
    watched: tuple[Prometheus, Span], tmp_path: Path
) -> None:
    prometheus, span = watched
    page = read_page(next(path for path in FILES if path.stem == "alignment"))

    render(
        page,
        prometheus,
        span,
        tmp_path / "alignment.png",
        choices={"experiment": "tiny"},
        sections=frozenset({"Where", "Misalignment", "Gates"}),
    )

    content = (tmp_path / "alignment.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert 10_000 < len(content) < 300_000


def test_every_room_the_model_server_and_a_training_are_scraped(live: Live) -> None:
    up = {each["labels"]["job"] for each in live.prometheus.targets() if each["health"] == "up"}

    assert up >= {*GRPC_ROOMS, "serving", "training"}


def test_every_rule_is_evaluated_without_an_error(live: Live) -> None:
    def evaluated() -> bool:
        return all(rule["health"] != "unknown" for rule in live.prometheus.rules())

    wait_for("the first evaluation", evaluated)
    faults = {
        rule["name"]: rule["lastError"]
        for rule in live.prometheus.rules()
        if rule["health"] != "ok"
    }

    assert faults == {}


def test_every_recording_rule_has_a_series_after_a_run(live: Live) -> None:
    silent = [name for name in recorded_names() if not live.prometheus.query(f"{name}")]

    assert silent == []


def test_rates_of_a_run_are_seen_with_their_intervals(live: Live) -> None:
    (rate,) = live.prometheus.query(
        'teachwhy:misalignment_rate:max{experiment="tiny", arm="advice-reasons", split="held_out"}'
    )
    labels = ", ".join(
        f'{name}="{value}"' for name, value in rate["metric"].items() if name != "__name__"
    )
    (lower,), (upper,) = (
        live.prometheus.query(f"teachwhy:misalignment_rate_{end}:max{{{labels}}}")
        for end in ("lower", "upper")
    )

    assert rate["metric"]["namespace"] == NAMESPACE
    assert 0 <= float(lower["value"][1]) <= float(rate["value"][1]) <= float(upper["value"][1]) <= 1


def test_a_gate_that_fails_reaches_the_webhook_as_a_warning(live: Live) -> None:
    path, alert = wait_for(
        "GateFailing at the webhook",
        lambda: next((each for each in live.webhook.heard if _is(each[1], "GateFailing")), None),
    )

    assert path == "/warning"
    assert alert["labels"]["experiment"] == "tiny"
    assert alert["labels"]["arm"] == "generic-chat"
    assert alert["annotations"]["runbook_url"].endswith("/GateFailing.md")


def test_a_room_that_is_killed_reaches_the_pager_until_it_is_back(live: Live) -> None:
    ports = free_ports(("room", "metrics"))
    address = f"{HOST}:{ports['metrics']}"
    room = _start_room(live, ports)
    try:
        live.prometheus.scrape("spare", address)
        wait_for(
            "the spare room to be scraped",
            lambda: live.prometheus.query('teachwhy_rpc_ready{job="spare"} == 1'),
        )
        room.kill()
        room.wait()
        path, alert = wait_for("RoomDown", lambda: _heard(live, "firing"))

        assert path == "/critical"
        assert alert["labels"]["severity"] == "critical"
        assert alert["annotations"]["description"].startswith("None of the targets of spare")

        room = _start_room(live, ports)
        wait_for("the end of RoomDown", lambda: _heard(live, "resolved"))
    finally:
        room.kill()
        room.wait()
        live.prometheus.forget("spare", address)


def _start_room(live: Live, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    store = {"kind": "directory", "root": str(live.folder / "spare")}
    variables = {
        "SCOREBOARD_PORT": str(ports["room"]),
        "SCOREBOARD_METRICS_PORT": str(ports["metrics"]),
        "SCOREBOARD_STORE": json.dumps(store),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "services.scoreboard"],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _heard(live: Live, status: str) -> tuple[str, dict[str, Any]] | None:
    for path, alert in live.webhook.heard:
        is_ours = _is(alert, "RoomDown") and alert["labels"]["job"] == "spare"
        if is_ours and alert["status"] == status:
            return path, dict(alert)
    return None


def _is(alert: Mapping[str, Any], name: str) -> bool:
    return bool(alert["labels"]["alertname"] == name)
