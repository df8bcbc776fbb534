"""The same experiment file on this machine and on a cluster: same results, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.cluster.cluster_run import ClusterRun, cluster_run
from tests.cluster.made_objects import assert_as_planned, made_objects
from tests.experiment.tiny_run import write_experiment
from tests.servicekit.s3_server import started_s3_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterRun]:
    with started_s3_server() as server, cluster_run(tmp_path, server) as ready:
        yield ready


def test_a_run_on_a_cluster_survives_its_end_and_finds_what_a_local_one_finds(
    cluster: ClusterRun, whole_run: Path, tmp_path: Path
) -> None:
    experiment = write_experiment(tmp_path)
    registry = cluster.fake.registry
    plan = tmp_path / "plan.yaml"
    cluster.run("plan", str(experiment), "--objects", str(plan))
    assert not cluster.jobs, "a plan makes nothing"

    with cluster.start("run", str(experiment)) as first:
        version = registry.version
        while not cluster.jobs and first.poll() is None:
            version = registry.wait_beyond(version, 30)
        assert first.poll() is None, first.stdout.read() if first.stdout else ""
        base = dict(cluster.jobs)
        first.kill()
    said = cluster.run("run", str(experiment))

    uids = {name: job["metadata"]["uid"] for name, job in cluster.jobs.items()}
    assert {name: job["metadata"]["uid"] for name, job in base.items()}.items() <= uids.items()
    assert len(uids) == 3, "one job for the base and one for each arm"
    assert not cluster.inference_services, "what was measured is hosted no more"
    assert "advice-reasons" in said
    assert_as_planned(made_objects(registry), plan.read_text(encoding="utf-8"))

    version = registry.version
    cluster.run("run", str(experiment))
    assert registry.version == version, "everything is in the store: nothing is made again"

    here = orjson.loads((whole_run / "tiny" / "report.json").read_bytes())
    assert cluster.report("tiny")["results"] == here["results"]


def test_without_credentials_nothing_starts(cluster: ClusterRun, tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path)
    with cluster.start("run", str(experiment), KUBECONFIG=str(tmp_path / "none")) as run:
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert said.startswith("no cluster credentials: ")
    assert len(said.splitlines()) == 1
    assert not list(cluster.store.keys())


def test_a_folder_is_no_store_for_a_cluster(cluster: ClusterRun, tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path)
    with cluster.start("run", str(experiment), PIPELINES_STORE__KIND="directory") as run:
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "PIPELINES_STORE: on a cluster outputs must be in the bucket" in said
