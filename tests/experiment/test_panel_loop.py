"""`run` with a panel: opinions beside the ledger, and a judge that fails makes nothing safe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.experiment.panel_run import GOAL, PRIVACY, PanelRun, failing, panel_run, sound
from tests.experiment.tiny_run import ROOT, assert_gone, running, stamps
from tests.model_server.answers import Answer
from tests.model_server.judging import Opinion

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

IN_FLIGHT = 64
"""Requests whose answers a killed room may not have kept."""


def pipelines(runs: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", *arguments],
        cwd=ROOT,
        env={**os.environ, "PIPELINES_RUNS_FOLDER": str(runs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def finish(of: PanelRun, runs: Path) -> dict[str, Any]:
    with running(of.experiment, runs) as run:
        run.finish()
    content: dict[str, Any] = orjson.loads((runs / "tiny" / "report.json").read_bytes())["results"]
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that was not calibrated and what it found; it is shared, so its folder is only read."""

    runs: Path
    results: dict[str, Any]
    asked: int
    """Requests to the judges."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Judges that know what they say."""
    return finished(tmp_path_factory.mktemp("whole"), sound)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Judges that fail on every third episode."""
    return finished(tmp_path_factory.mktemp("broken"), failing)


def finished(folder: Path, read: Callable[[str], Opinion | Answer]) -> Finished:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        panel_run(folder, monkeypatch, read, calibrate=False) as of,
    ):
        results = finish(of, folder / "runs")
        return Finished(runs=folder / "runs", results=results, asked=of.judge.num_requests)


def judgings(runs: Path) -> dict[str, bytes]:
    """Every object of the judgings, by key."""
    store = runs / "store"
    paths = [each for each in (store / "judgings").rglob("*") if "~" not in each.name]
    return {
        each.relative_to(store).as_posix(): each.read_bytes() for each in paths if each.is_file()
    }


def test_a_panel_judges_beside_the_ledger_and_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    with panel_run(tmp_path, monkeypatch) as of:
        found = finish(of, runs)
        asked, before = of.judge.num_requests, stamps(runs)
        assert finish(of, runs) == found
        assert of.judge.num_requests == asked, "a second run answers from the store"
        assert stamps(runs) == before
        replanned = pipelines(runs, "plan", str(of.experiment))

    (panel,) = found["panels"]
    assert (panel["answers"], panel["errors"], panel["without_opinion"]) == (288, 0, 0)
    assert panel["layers_disagree"] == 0
    assert panel["members"] == ["bench/judge-1", "bench/judge-2"]
    for row in found["numbers"]:
        assert row["opinion_took_bait"]["num_hits"] == row["took_action"]["num_hits"]
        assert row["opinion_took_bait"]["num_scored"] == row["episodes"] == 48
        assert row["corrected_took_bait"] is not None
    calibration = found["calibration"]
    assert calibration["episodes"] >= 40
    assert calibration["unjudged"] == 0
    assert calibration["rubric"] == panel["rubric"]
    assert {each["case"] for each in calibration["cases"]} >= {"plain-harm", "plain-refusal"}
    rate = calibration["false_negatives"]
    errors = f"false negatives {rate['estimate']:.2f}"
    assert errors in " ".join(replanned.split()), "the plan shows what is known of the panel"

    numbers = pipelines(runs, "numbers", str(of.experiment))
    assert "held-out honeypots" in numbers
    assert errors in " ".join(numbers.split())
    reasons = pipelines(runs, "reasons", str(of.experiment))
    assert "agent, honeypots: took or tried the bait" in reasons
    assert any(each in reasons for each in GOAL)
    assert any(each in reasons for each in PRIVACY)
    identity = next(
        group["examples"][0]
        for row in found["reasons"]
        if row["kind"] == "honeypot" and row["took_bait"]
        for group in row["groups"]
    )
    told = pipelines(runs, "show", identity)
    assert "executed; 2 of 2 answered" in told
    assert "bench/judge-2: executed" in told
    page = (runs / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "Page of numbers" in page
    assert "The panel, calibrated" in page


def test_a_judge_that_fails_only_widens_what_is_possible(whole: Finished, broken: Finished) -> None:
    (panel,) = broken.results["panels"]
    assert panel["errors"] > 0
    assert panel["refusals"] > 0
    assert panel["without_opinion"] * 2 == panel["errors"] + panel["refusals"]
    for before, after in zip(whole.results["numbers"], broken.results["numbers"], strict=True):
        assert after["took_action"] == before["took_action"], "the ledger needs no judge"
        sure, unsure = before["opinion_took_bait"], after["opinion_took_bait"]
        assert unsure["num_scored"] < sure["num_scored"]
        assert unsure["num_hits"] <= sure["num_hits"], "nothing becomes harm"
        safe = [rate["num_scored"] - rate["num_hits"] for rate in (unsure, sure)]
        assert safe[0] <= safe[1], "nothing becomes safe"
        assert unsure["lowest_possible"] <= sure["lowest_possible"]
        assert unsure["highest_possible"] >= sure["highest_possible"]
        missing = sure["num_scored"] - unsure["num_scored"]
        width = unsure["highest_possible"] - unsure["lowest_possible"]
        assert width == pytest.approx(missing / after["episodes"])
    assert any("the panel says nothing of" in each for each in broken.results["warnings"])


def test_a_run_that_was_killed_while_judging_ends_with_the_same_verdicts(
    whole: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    with panel_run(tmp_path, monkeypatch, calibrate=False) as of:
        with running(of.experiment, runs) as run, of.judge.held():
            of.judge.wait_for(20)
            assert_gone(run.kill())
        with running(of.experiment, runs) as run:
            of.judge.wait_for(60)
            run.kill_service("judge")
            run.finish()
        found = orjson.loads((runs / "tiny" / "report.json").read_bytes())["results"]
        asked = of.judge.num_requests

    assert found == whole.results
    assert judgings(runs) == judgings(whole.runs)
    assert asked <= whole.asked + 3 * IN_FLIGHT, "what was kept is not paid again"


def test_stored_episodes_are_judged_again_without_playing(
    broken: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = shutil.copytree(broken.runs, tmp_path / "runs")
    before = judgings(runs)
    with panel_run(tmp_path, monkeypatch, failing, calibrate=False) as of:
        again = pipelines(
            runs, "rejudge", str(of.experiment), "--judge", "bench/judge-1", "--no-calibrate"
        )
        assert "what was done: the same in 144 of 144 (100.0%)" in again
        assert "what the panel says: the same in 144 of 144" in again

        panel = tmp_path / "panel.yaml"
        panel.write_text(
            "members: [{endpoint: bench, model: judge-3}]\nsamples: 3\ncalibrate: false\n",
            encoding="utf-8",
        )
        of.judge.script = lambda asked: "no JSON at all" if asked.tools else "verdict: aligned"
        worse = pipelines(runs, "rejudge", str(of.experiment), "--panel", str(panel))
        assert of.agent.num_requests == 0

    assert "what was done: the same in 144 of 144 (100.0%)" in worse
    lines = [line.split() for line in worse.splitlines()]
    became = {line[0]: line[1:] for line in lines if line[1:3] == ["not", "said"]}
    assert became.keys() == {"no", "considered", "executed"}, "nothing became safe"
    after = judgings(runs)
    assert {key: after[key] for key in before} == before, "the old verdicts are kept"
    assert len(after) > len(before)


def test_a_judge_that_is_away_is_said_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    with panel_run(tmp_path, monkeypatch, calibrate=False) as of:
        sound_endpoint = os.environ["JUDGE_ENDPOINTS"]
        nowhere = {"bench": {"base_url": "http://127.0.0.1:9/v1", "max_attempts": 1}}
        monkeypatch.setenv("JUDGE_ENDPOINTS", orjson.dumps(nowhere).decode())
        with pytest.raises(AssertionError, match=r"panel: .*bench") as refused:
            pipelines(runs, "run", str(of.experiment))
        assert "Traceback" not in str(refused.value)
        assert "the same command goes on behind it" in str(refused.value)
        played = of.agent.num_requests
        monkeypatch.setenv("JUDGE_ENDPOINTS", sound_endpoint)
        finish(of, runs)
        assert of.agent.num_requests == played


def test_an_endpoint_of_a_judge_that_is_not_set_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with panel_run(tmp_path, monkeypatch) as of:
        monkeypatch.delenv("JUDGE_ENDPOINTS")
        with pytest.raises(AssertionError, match="JUDGE_ENDPOINTS has no endpoint 'bench'"):
            pipelines(tmp_path / "runs", "run", str(of.experiment))
        assert of.agent.num_requests == 0
    assert not (tmp_path / "runs" / "logs").exists()


def test_sample_sizes_are_planned(tmp_path: Path) -> None:
    said = pipelines(tmp_path, "power", "0.2", "0.1", "--per-scenario", "4", "--correlation", "0.5")
    assert "episodes an arm" in said
    assert "design effect 2.50" in said
