"""Other people's jobs, cancelling, and an API server that misbehaves, while a job trains."""

import asyncio
import threading
from pathlib import Path

import pytest

from pipelines.cluster.training_job import training_job
from services.servicekit.storage.directory import DirectoryStore
from tests.cluster.fake_kubernetes.api_objects import PODS, PYTORCH_JOBS
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.courses import (
    exits,
    runs_on,
)
from tests.cluster.fake_kubernetes.faults import Cut, CutAfter, throttled, unavailable
from tests.cluster.training_orders import training_profile
from tests.cluster.trainings import CREATION, LEADER, ORDER, Trainings, progress, until


@pytest.fixture
def trainings(cluster: FakeCluster, tmp_path: Path) -> Trainings:
    return Trainings(cluster, DirectoryStore(tmp_path / "store"))


async def test_somebody_elses_job_is_never_touched(trainings: Trainings) -> None:
    body = training_job(ORDER, training_profile())
    body["metadata"]["labels"] = {"app": "theirs"}
    theirs = trainings.cluster.registry.create(PYTORCH_JOBS, NAMESPACE, body)

    said = await trainings.failure()

    assert "PyTorchJob teachwhy/why-s0 is there already and was not made by a run" in said
    assert trainings.job is not None
    assert trainings.job["metadata"]["uid"] == theirs["metadata"]["uid"]


async def test_a_job_of_another_profile_is_made_anew(trainings: Trainings) -> None:
    old = training_job(ORDER, training_profile(image="registry.example/teachwhy-training:0"))
    trainings.cluster.pods.play(LEADER, runs_on("old"), trainings.succeeds())
    trainings.cluster.registry.create(PYTORCH_JOBS, NAMESPACE, old)
    await until(lambda: bool(trainings.cluster.log_of(LEADER)))

    await trainings.train()

    assert trainings.job is not None
    template = trainings.job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    assert template["spec"]["containers"][0]["image"].endswith(":1")


async def test_cancelling_deletes_the_job_and_its_pods(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_on(progress(8)))
    training = asyncio.create_task(trainings.train())
    await trainings.progressed.wait()

    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training

    assert trainings.job is None
    await until(lambda: not trainings.cluster.registry.select(PODS, NAMESPACE))


async def test_cancelling_leaves_a_job_that_another_run_began(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_on(progress(8)))
    body = training_job(ORDER, training_profile())
    trainings.cluster.registry.create(PYTORCH_JOBS, NAMESPACE, body)
    training = asyncio.create_task(trainings.train())
    await trainings.progressed.wait()

    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training

    assert trainings.job is not None
    assert "was begun by another run and is left as it is" in trainings.said[-1]


async def test_cancelling_while_the_job_is_made_deletes_it(trainings: Trainings) -> None:
    trainings.cluster.server.fail(unavailable(), when="POST .*pytorchjobs", times=1)
    training = asyncio.create_task(trainings.train())
    await until(lambda: CREATION in trainings.cluster.server.requests)

    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training

    assert trainings.job is None


async def test_cancelling_ends_when_the_cluster_is_away(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_on(progress(8)))
    training = asyncio.create_task(trainings.train())
    await trainings.progressed.wait()

    trainings.cluster.server.disappear()
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training

    assert "could not be removed" in trainings.said[-1]


async def test_a_server_that_throttles_and_hangs_up_is_put_up_with(trainings: Trainings) -> None:
    server = trainings.cluster.server
    server.fail(throttled("0"), times=3)
    server.fail(Cut(is_done=True), when="POST .*pytorchjobs")
    server.fail(CutAfter(1), when="GET .*/log")
    server.fail(unavailable(), when="GET .*labelSelector", times=2)
    lines = [progress(tokens) for tokens in (1, 2, 3)]
    trainings.cluster.pods.play(LEADER, trainings.succeeds(*lines))

    await trainings.train()

    assert [each.tokens for each in trainings.reports] == [1, 2, 3]
    assert len(trainings.cluster.registry.select(PYTORCH_JOBS, NAMESPACE)) == 1


async def test_a_server_that_was_away_is_taken_up_where_it_was(trainings: Trainings) -> None:
    go_on = threading.Event()
    trainings.cluster.pods.play(LEADER, trainings.succeeds(progress(8), when=go_on))
    training = asyncio.create_task(trainings.train())
    await trainings.progressed.wait()

    trainings.cluster.server.disappear()
    go_on.set()
    await until(lambda: ORDER.published(trainings.store).is_complete())
    trainings.cluster.server.come_back()
    await training

    assert [each.tokens for each in trainings.reports] == [8]


async def test_a_server_that_stays_away_ends_the_wait_and_not_the_job(
    trainings: Trainings,
) -> None:
    trainings.cluster.pods.play(LEADER, runs_on(progress(8)))
    training = asyncio.create_task(trainings.failure())
    await trainings.progressed.wait()

    trainings.cluster.server.disappear()

    said = await training
    assert "PyTorchJob teachwhy/why-s0" in said
    assert "the same command goes on too" in said
    assert trainings.job is not None


async def test_a_permission_that_is_missing_is_said_at_once(trainings: Trainings) -> None:
    trainings.cluster.server.forbid("create", "pytorchjobs")

    said = await trainings.failure()

    assert 'cannot create resource "pytorchjobs" in API group "kubeflow.org"' in said


async def test_a_log_that_may_not_be_read_is_said(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_on(progress(8)))
    trainings.cluster.server.forbid("get", "pods/log")

    assert 'cannot get resource "pods/log"' in await trainings.failure()


async def test_a_missing_permission_hides_no_failure(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, exits(2, "error: order: recipe: no such file"))
    trainings.cluster.server.forbid("list", "events")
    trainings.cluster.server.forbid("delete", "pytorchjobs")

    said = await trainings.failure()

    assert "cannot be carried out" in said
    assert "events and logs cannot be read: the cluster refused to list events" in said
    assert "PyTorchJob teachwhy/why-s0 could not be removed" in said
