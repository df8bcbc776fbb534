"""Services of a run get what the run decides; everything else is the operator's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.experiment.local_services import (
    GRPC_ROOMS,
    ServiceSpec,
    service_environment,
    service_specs,
)
from pipelines.experiment.places import open_places
from pipelines.experiment.rollout_endpoints import RolloutHosts
from pipelines.experiment.settings import PipelinesSettings

PORTS = {name: 40_000 + i for i, name in enumerate((*GRPC_ROOMS, "serving"))}


@pytest.fixture
def specs(tmp_path: Path) -> dict[str, ServiceSpec]:
    return service_specs(
        open_places(PipelinesSettings(runs_folder=tmp_path)),
        ports=PORTS,
        metrics_ports=dict.fromkeys(GRPC_ROOMS, 0),
        parent_pid=1,
        hosts=RolloutHosts(),
    )


def test_the_dataset_room_gets_store_cache_and_judge(
    specs: dict[str, ServiceSpec], tmp_path: Path
) -> None:
    told = service_environment(specs["dataset"])
    assert json.loads(told["DATASET_STORE"])["root"] == str(tmp_path / "store")
    assert told["DATASET_CACHE_FOLDER"] == str(tmp_path / "dataset-cache")
    assert told["DATASET_JUDGE"] == f"127.0.0.1:{PORTS['judge']}"


def test_model_hosts_of_the_operator_reach_the_rooms(
    specs: dict[str, ServiceSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATASET_ENDPOINTS", "{}")
    monkeypatch.setenv("JUDGE_ENDPOINTS__JUDGE__BASE_URL", "http://localhost:1/v1")
    monkeypatch.setenv("DATASET_SOURCES", '{"a": "a.jsonl"}')
    assert service_environment(specs["dataset"])["DATASET_ENDPOINTS"] == "{}"
    assert service_environment(specs["dataset"])["DATASET_SOURCES"] == '{"a": "a.jsonl"}'
    assert "JUDGE_ENDPOINTS__JUDGE__BASE_URL" in service_environment(specs["judge"])


@pytest.mark.parametrize("name", ["DATASET_PORT", "dataset_port", "DATASET_STORE__ROOT"])
def test_what_the_run_decides_nobody_else_sets(
    specs: dict[str, ServiceSpec], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "elsewhere")
    told = service_environment(specs["dataset"])
    assert told.get(name) != "elsewhere"
    assert told["DATASET_PORT"] == str(PORTS["dataset"])
