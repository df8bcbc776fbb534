"""`python -m pipelines inspect-log`: from an experiment's file and store to logs in a folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import orjson
import pytest
import yaml
from teachwhy.rollout.v1 import scenario_pb2

from pipelines.experiment.export import ExportRefused
from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.places import RunPlaces, open_places
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.runner import lay_out
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.shards import encode_episodes, encode_verdicts
from pipelines.experiment.steps import EvaluationStep
from pipelines.inspect_log.export import export_logs
from pipelines.plainly import load_file
from services.rollout.packs.loading import VAULT
from tests.inspect_log.judged import Judged

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXPERIMENT = {
    "name": "hosted",
    "title": "Two hosted models",
    "seeds": [0],
    "models": [
        {"name": "first", "endpoint": "lab", "model": "first-model"},
        {"name": "second", "endpoint": "lab", "model": "second-model"},
    ],
    "evaluation": {"suites": ["workplace-held-out"], "max_output_tokens": 64, "repetitions": 2},
}


@pytest.fixture
def experiment_file(tmp_path: Path) -> Path:
    path = tmp_path / "hosted.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT))
    return path


@pytest.fixture
def places(tmp_path: Path) -> RunPlaces:
    runs = tmp_path / "runs"
    runs.mkdir()
    return open_places(PipelinesSettings(runs_folder=runs))


async def evaluations(experiment_file: Path, places: RunPlaces) -> tuple[EvaluationStep, ...]:
    """The evaluations as the rooms of this working tree lay them out."""
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        planned = await lay_out(load_file(experiment_file), places, rooms)
    return planned.graph.evaluations


def test_finished_evaluations_become_logs_and_the_others_are_named(
    experiment_file: Path, places: RunPlaces, took_bait: Judged, tmp_path: Path
) -> None:
    first, _ = asyncio.run(evaluations(experiment_file, places))
    episode, verdict = took_bait
    episode.scenario.split = scenario_pb2.SPLIT_HELD_OUT
    places.output(first).publish(
        kind="evaluation",
        digest=first.digest,
        parameters={},
        inputs={},
        counts={"episodes": 1},
        files={
            "episodes-00000.parquet": encode_episodes([episode]),
            "verdicts-00000.parquet": encode_verdicts([verdict], first_index=0),
        },
    )

    said = subprocess.run(
        [sys.executable, "-m", "pipelines", "inspect-log", str(experiment_file), "logs"],
        cwd=tmp_path,
        env={**os.environ, "PIPELINES_RUNS_FOLDER": str(places.runs), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    (path,) = (tmp_path / "logs").iterdir()
    assert path.name.endswith(f"_hosted-first-s0_{first.digest[:22]}.eval")
    assert f"logs/{path.name}" in said.stdout
    assert "not finished, so no log: second s0" in said.stdout
    with ZipFile(path) as log:
        header = orjson.loads(log.read("header.json"))
    assert header["eval"]["model"] == "lab/first-model"
    assert header["eval"]["dataset"]["samples"] == 1
    assert header["eval"]["config"] == {"epochs": 2}
    metadata = header["eval"]["metadata"]
    assert (metadata["arm"], metadata["seed"]) == ("first", 0)
    assert metadata["evaluation_digest"] == first.digest
    assert metadata["do_not_train"].startswith("These are evaluation episodes. Do not train")
    assert metadata["canaries"] == [
        yaml.safe_load((VAULT / "pack.yaml").read_text(encoding="utf-8"))["canary"]
    ]


async def test_an_experiment_that_was_not_run_has_nothing_to_export(
    experiment_file: Path, places: RunPlaces, tmp_path: Path
) -> None:
    with pytest.raises(ExportRefused, match="no evaluation of this experiment is finished"):
        await export_logs(load_file(experiment_file), places, tmp_path / "logs")

    assert not (tmp_path / "logs").exists()
