"""`run` measures a model behind a URL, whatever is killed meanwhile, and pays for nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.experiment.hosted_run import agent, set_up
from tests.experiment.tiny_run import ROOT, assert_gone, contents, results, running, stamps
from tests.model_server.server import ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

IN_FLIGHT = 64
"""Requests whose answers a killed room may not have kept."""


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(agent) as server:
        yield server


def pipelines(runs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *arguments],
        cwd=ROOT,
        env={**os.environ, "PIPELINES_RUNS_FOLDER": str(runs)},
        capture_output=True,
        text=True,
        check=False,
    )


def found(runs: Path) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads((runs / "tiny" / "report.json").read_bytes())["results"]
    return content


def test_a_model_behind_a_url_is_played_judged_reported_and_shown(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, runs = set_up(tmp_path, server, monkeypatch), tmp_path / "runs"
    with running(experiment, runs) as run:
        run.finish()

    (row,) = found(runs)["rows"]
    assert (row["role"], row["model"], row["episodes"]) == ("model", "lab/agent-1", 144)
    assert row["unscored"] == 0
    families = {each["suite"]: each for each in found(runs)["families"]}
    near = families["small-near"]
    assert near["family"] == "leaking"
    assert 0 < near["took_action"]["num_hits"] < 48
    assert near["took_action"]["num_hits"] + near["used_safe_channel"]["num_hits"] == near["acted"]
    assert not (runs / "logs" / "serving.log").exists(), "nothing of ours was hosted"

    listed = pipelines(runs, "episodes", str(experiment), "--bait", "--suite", "hidden-held-out")
    identity = listed.stdout.splitlines()[1].split()[0]
    told = pipelines(runs, "show", identity)
    assert "<<< HERE IT TOOK THE BAIT" in told.stdout, told.stderr
    assert "hidden-held-out/members-list/" in told.stdout

    asked, before = server.num_requests, stamps(runs)
    with running(experiment, runs) as run:
        run.finish()
    assert server.num_requests == asked, "a second run answers from the store"
    assert stamps(runs) == before


def test_a_run_that_was_killed_ends_with_the_same_bytes_and_pays_nothing_twice(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = set_up(tmp_path, server, monkeypatch, repetitions=4)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with running(experiment, whole) as run:
        run.finish()
    paid = server.num_requests
    with running(experiment, broken) as run:
        run.wait_for_another_file_in("episodes")
        assert_gone(run.kill())
    with running(experiment, broken) as run:
        run.wait_for_another_file_in("episodes")
        for service in ("rollout", "judge", "scoreboard"):
            run.kill_service(service)
        run.finish()

    assert contents(broken) == contents(whole)
    assert results(broken) == results(whole)
    assert server.num_requests - paid <= paid + 2 * IN_FLIGHT


def test_a_series_stops_when_every_suite_is_known_well_enough(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = set_up(tmp_path, server, monkeypatch, stop_at_interval_width=0.4)
    with running(experiment, tmp_path / "runs") as run:
        run.finish()

    (row,) = found(tmp_path / "runs")["rows"]
    assert row["planned"] == 144
    assert 0 < row["episodes"] < 144
    widths = [
        each["took_action"]["upper"] - each["took_action"]["lower"]
        for each in found(tmp_path / "runs")["families"]
    ]
    assert max(widths) <= 0.4
    assert any("the stop rule was met" in each for each in found(tmp_path / "runs")["warnings"])


def test_an_address_where_nobody_answers_is_said_with_the_model(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = set_up(tmp_path, server, monkeypatch)
    nowhere = {"lab": {"base_url": "http://127.0.0.1:9/v1", "max_attempts": 1}}
    monkeypatch.setenv("ROLLOUT_ENDPOINTS", json.dumps(nowhere))
    refused = pipelines(tmp_path / "runs", "run", str(experiment))

    assert refused.returncode == 1
    assert refused.stderr.startswith("models: agent: ")
    assert "lab" in refused.stderr
    assert "the same command goes on behind it" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_endpoint_that_is_not_set_is_said_before_anything_starts(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = set_up(tmp_path, server, monkeypatch)
    monkeypatch.setenv("ROLLOUT_ENDPOINTS", '{"other": {"base_url": "http://127.0.0.1:9/v1"}}')
    refused = pipelines(tmp_path / "runs", "run", str(experiment))

    assert refused.returncode == 1
    assert "ROLLOUT_ENDPOINTS has no endpoint 'lab'; it has other" in refused.stderr
    assert server.num_requests == 0
    assert not (tmp_path / "runs" / "logs").exists()


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"axes": {"colour": ["red"]}}, "colour"),
        ({"axes": {"persona": ["mira", "nobody"]}}, "nobody"),
        ({"suites": ["small-far"]}, "no suite is called 'small-far'"),
    ],
)
def test_what_the_rollout_room_does_not_have_is_said_before_anything_is_played(
    tmp_path: Path,
    server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    evaluation: dict[str, Any],
    said: str,
) -> None:
    experiment = set_up(tmp_path, server, monkeypatch, **evaluation)
    refused = pipelines(tmp_path / "runs", "run", str(experiment))

    assert refused.returncode == 1
    assert said in refused.stderr
    assert "evaluation" in refused.stderr
    assert server.num_requests == 0
