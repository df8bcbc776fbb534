"""How a pod runs the training program: alone, several on a node, several nodes."""

import os
import sys
from pathlib import Path

import pytest

from pipelines.jobs.launch import Command, program_command
from pipelines.jobs.settings import JobsSettings, inherited_environment
from services.servicekit.settings import InvalidSettings, read_settings

OPERATOR = {
    "WORLD_SIZE": "1",
    "RANK": "0",
    "MASTER_ADDR": "arm-master-0",
    "MASTER_PORT": "23456",
    "PET_NODE_RANK": "0",
    "PET_NNODES": "1",
    "PET_NPROC_PER_NODE": "1",
    "PET_MASTER_ADDR": "arm-master-0",
    "PET_MASTER_PORT": "23456",
}
"""What the training operator sets in a pod that trains alone."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> "Started":
    return Started(monkeypatch)


class Started:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        for name in list(os.environ):
            if name.startswith(("PET_", "JOBS_")) or name in OPERATOR:
                monkeypatch.delenv(name)

    def __call__(self, **environment: str) -> Command:
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        settings = read_settings(JobsSettings)
        return program_command(settings, inherited_environment(), "spec.json", "--output", "out")


@pytest.mark.parametrize("environment", [{}, OPERATOR], ids=["no operator", "operator"])
def test_one_process_needs_no_torchrun(command: Started, environment: dict[str, str]) -> None:
    started = command(**environment)

    assert started.arguments == (
        *(sys.executable, "-m", "pipelines.training", "spec.json", "--output", "out"),
    )
    assert not {"WORLD_SIZE", "RANK", "PET_NNODES", "MASTER_ADDR"} & started.environment.keys()
    assert started.environment["TRAINING_PARENT_PID"] == str(os.getpid())


@pytest.mark.parametrize(
    "environment",
    [{"JOBS_PROCESSES": "4"}, {**OPERATOR, "PET_NPROC_PER_NODE": "4"}],
    ids=["no operator", "operator"],
)
def test_several_processes_of_one_node_meet_on_it(
    command: Started, environment: dict[str, str]
) -> None:
    started = command(**environment, JOBS_STOP_SECONDS="90")

    assert started.arguments[1:] == (
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"),
        *("--shutdown-timeout=90", "--module", "pipelines.training"),
        *("spec.json", "--output", "out"),
    )
    assert not {"WORLD_SIZE", "RANK", "PET_NNODES", "MASTER_ADDR"} & started.environment.keys()
    assert "TRAINING_PARENT_PID" not in started.environment


def test_several_nodes_meet_where_the_operator_says(command: Started, tmp_path: Path) -> None:
    nodes = {
        **OPERATOR,
        "WORLD_SIZE": "16",
        "RANK": "1",
        "PET_NODE_RANK": "1",
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "8",
        "JOBS_CHECKPOINT_FOLDER": str(tmp_path),
    }
    started = command(**nodes)

    assert started.arguments[3:] == (
        *("--nnodes=2", "--node-rank=1", "--master-addr=arm-master-0", "--master-port=23456"),
        *("--nproc-per-node=8", "--shutdown-timeout=60", "--module", "pipelines.training"),
        *("spec.json", "--output", "out"),
    )
    assert not {"WORLD_SIZE", "RANK"} & started.environment.keys()


def test_an_elastic_training_keeps_what_torchrun_reads_itself(
    command: Started, tmp_path: Path
) -> None:
    elastic = {
        "PET_NNODES": "1:4",
        "PET_NPROC_PER_NODE": "gpu",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": "arm-worker-0:23456",
        "PET_MAX_RESTARTS": "3",
        "JOBS_CHECKPOINT_FOLDER": str(tmp_path),
    }
    started = command(**elastic)

    assert "--nnodes=1:4" in started.arguments
    assert "--nproc-per-node=gpu" in started.arguments
    assert started.environment["PET_RDZV_ENDPOINT"] == "arm-worker-0:23456"
    assert started.environment["PET_MAX_RESTARTS"] == "3"


def test_an_older_operator_that_only_says_rank_is_understood(
    command: Started, tmp_path: Path
) -> None:
    started = command(
        PET_NNODES="2",
        RANK="1",
        MASTER_ADDR="arm-master-0",
        MASTER_PORT="23456",
        JOBS_CHECKPOINT_FOLDER=str(tmp_path),
    )

    assert {"--node-rank=1", "--master-addr=arm-master-0"} <= set(started.arguments)


def test_the_program_gets_no_credentials_of_the_store(command: Started) -> None:
    started = command(JOBS_STORE__SECRET_KEY="secret", JOBS_FOLDER="/scratch", OMP_NUM_THREADS="8")

    assert not [name for name in started.environment if name.startswith("JOBS_")]
    assert "secret" not in started.environment.values()
    assert started.environment["OMP_NUM_THREADS"] == "8"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PET_NNODES": "2"}, "a training on 2 nodes"),
        ({"PET_NNODES": "two"}, "PET_NNODES"),
        ({"JOBS_STORE__KIND": "s3"}, 'kind "s3" needs endpoint and bucket'),
        ({"JOBS_FOLDERS": "x"}, "JOBS_FOLDERS: is no setting"),
        ({"JOBS_MIRROR_SECONDS": "0"}, "JOBS_MIRROR_SECONDS"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    command: Started, environment: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidSettings, match=words):
        command(**environment)
