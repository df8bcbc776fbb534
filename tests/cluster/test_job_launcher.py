"""What a training job may come to, against the fake API server and operator."""

import asyncio
import threading
from pathlib import Path

import pytest

from pipelines.jobs.order import order_key, read_order
from services.servicekit.storage.directory import DirectoryStore
from tests.cluster.fake_kubernetes.api_objects import PYTORCH_JOBS
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.courses import (
    Evicted,
    Exit,
    RunningPod,
    completes,
    exits,
    image_cannot_be_pulled,
    is_evicted,
    is_never_scheduled,
    runs_on,
    runs_out_of_memory,
)
from tests.cluster.training_orders import publish_checkpoint
from tests.cluster.trainings import CREATION, LEADER, ORDER, Trainings, progress, until


@pytest.fixture
def trainings(cluster: FakeCluster, tmp_path: Path) -> Trainings:
    return Trainings(cluster, DirectoryStore(tmp_path / "store"))


async def test_a_job_is_made_followed_and_its_checkpoint_is_there(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, trainings.succeeds("hello", progress(8), progress(16)))

    await trainings.train()

    assert [each.tokens for each in trainings.reports] == [8, 16]
    assert read_order(trainings.store, order_key(ORDER.name)) == ORDER
    assert trainings.job is not None
    assert trainings.said == []


async def test_nothing_is_asked_of_the_cluster_when_the_checkpoint_is_there(
    trainings: Trainings,
) -> None:
    publish_checkpoint(trainings.store, ORDER)

    await trainings.train()

    assert trainings.job is None


async def test_a_job_that_runs_already_is_taken_up_with_its_log(trainings: Trainings) -> None:
    go_on = threading.Event()
    trainings.cluster.pods.play(LEADER, trainings.succeeds(progress(8), when=go_on))
    first = asyncio.create_task(trainings.train())
    await trainings.progressed.wait()
    trainings.progressed.clear()

    second = asyncio.create_task(trainings.train())
    await trainings.progressed.wait()
    go_on.set()
    await asyncio.gather(first, second)

    assert [each.tokens for each in trainings.reports] == [8, 8]
    assert trainings.cluster.server.requests.count(CREATION) == 1


async def test_a_failed_job_says_its_exit_code_and_its_last_lines(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, exits(1, progress(8), "ValueError: loss is nan"))

    said = await trainings.failure(restarts=0)

    assert "PyTorchJob teachwhy/why-s0 failed: Job why-s0 has failed because it has reached" in said
    assert "pod why-s0-master-0 ended with exit status 1 (Error)" in said
    assert "ValueError: loss is nan" in said
    assert "training.progress" not in said
    assert "same command" in said
    assert trainings.job is not None


async def test_a_job_that_failed_before_is_made_anew(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, exits(1))
    await trainings.failure(restarts=0)
    trainings.cluster.pods.play(LEADER, trainings.succeeds())

    await trainings.train(restarts=0)

    assert trainings.cluster.server.requests.count(CREATION) == 2


async def test_a_crash_is_restarted_as_often_as_the_profile_says(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, exits(138, "once"), trainings.succeeds("twice"))

    await trainings.train(restarts=1)

    assert len(trainings.said) == 1
    assert "ended with exit status 138 (Error); the operator starts it again" in trainings.said[0]


async def test_an_order_that_cannot_be_carried_out_is_not_repeated(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, exits(2, "error: order: recipe: no such file"))

    said = await trainings.failure(restarts=5)

    assert "cannot be carried out" in said
    assert "error: order: recipe: no such file" in said
    assert "PyTorchJob teachwhy/why-s0 was removed. Repeating it does not help" in said
    assert trainings.job is None


async def test_memory_that_ran_out_is_said_with_what_to_raise(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_out_of_memory("step 1"))

    said = await trainings.failure(restarts=0)

    assert "exit status 137 (OOMKilled)" in said
    assert "training.placement.memory" in said


@pytest.mark.parametrize("reason", ["Preempted", "Evicted"])
async def test_a_preempted_training_goes_on_by_itself_and_says_so(
    trainings: Trainings, reason: str
) -> None:
    go_on = threading.Event()
    trainings.cluster.pods.play(
        LEADER,
        is_evicted(progress(8), reason=reason, when=go_on),
        trainings.succeeds(progress(16)),
    )
    training = asyncio.create_task(trainings.train(restarts=0))
    await trainings.progressed.wait()

    go_on.set()
    await training

    assert [each.tokens for each in trainings.reports] == [8, 16]
    assert len(trainings.said) == 1
    assert f"pod {LEADER} was taken away ({reason}" in trainings.said[0]
    assert "goes on from its last checkpoint" in trainings.said[0]


async def test_a_job_that_finds_no_node_ends_with_what_the_scheduler_says(
    trainings: Trainings,
) -> None:
    trainings.cluster.pods.play("why-s0-*", is_never_scheduled())

    said = await trainings.failure(start_seconds=1)

    assert "has 0 of 1 pods running after 1 s (training.start_seconds)" in said
    assert "FailedScheduling: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu" in said
    assert "was removed" in said
    assert trainings.job is None


async def test_every_node_is_waited_for(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_on())
    trainings.cluster.pods.play("why-s0-worker-0", is_never_scheduled())

    said = await trainings.failure(start_seconds=1, nodes=2, volume={"claim": "shared"})

    assert "has 1 of 2 pods running" in said
    assert trainings.states[-1] == "1 of 2 pods run"


async def test_an_elastic_training_needs_its_fewest_nodes_and_any_may_report(
    trainings: Trainings,
) -> None:
    trainings.cluster.pods.play("why-s0-worker-0", runs_on())
    trainings.cluster.pods.play("why-s0-worker-1", trainings.succeeds(progress(8)))
    trainings.cluster.pods.play("why-s0-worker-2", is_never_scheduled())

    await trainings.train(
        start_seconds=1, elastic={"min_nodes": 2, "max_nodes": 3}, volume={"claim": "shared"}
    )

    assert [each.tokens for each in trainings.reports] == [8]


async def test_what_is_waited_for_is_reported_until_it_trains(trainings: Trainings) -> None:
    go_on = threading.Event()

    def late(pod: RunningPod) -> Exit | Evicted:
        pod.wait_for(go_on)
        return trainings.succeeds(progress(8))(pod)

    trainings.cluster.pods.play(LEADER, late)
    training = asyncio.create_task(trainings.train())
    await until(lambda: trainings.states == ["0 of 1 pods run"])
    go_on.set()
    await training

    assert trainings.reports[-1].state == ""


async def test_an_image_that_cannot_be_pulled_is_said_long_before_start_seconds(
    trainings: Trainings,
) -> None:
    trainings.cluster.pods.play(LEADER, image_cannot_be_pulled())

    said = await trainings.failure(start_seconds=3600)

    assert "cannot start: pod why-s0-master-0: ImagePullBackOff: Back-off pulling image" in said
    assert "registry.example/teachwhy-training:1" in said
    assert "training.image" in said
    assert trainings.job is None


async def test_a_job_that_somebody_deletes_is_said(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, runs_on(progress(8)))
    training = asyncio.create_task(trainings.failure())
    await trainings.progressed.wait()

    trainings.cluster.registry.delete(PYTORCH_JOBS, NAMESPACE, "why-s0")

    assert "PyTorchJob teachwhy/why-s0 was deleted by somebody else" in await training


async def test_success_without_a_complete_checkpoint_is_said(trainings: Trainings) -> None:
    trainings.cluster.pods.play(LEADER, completes())

    said = await trainings.failure()

    assert "succeeded, but checkpoints/why-s0 in the store has no manifest" in said
    assert "teachwhy at minio.teachwhy.svc:9000" in said


async def test_a_job_that_succeeded_without_a_checkpoint_is_made_anew(
    trainings: Trainings,
) -> None:
    trainings.cluster.pods.play(LEADER, completes())
    await trainings.failure()
    trainings.cluster.pods.play(LEADER, trainings.succeeds())

    await trainings.train()
