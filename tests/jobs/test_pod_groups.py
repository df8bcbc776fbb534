"""Trainings of several processes and of several nodes, as pods on this machine."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.jobs.order import TrainingOrder, write_order
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings
from tests.jobs.pods import WAIT_SECONDS, Pod, copies, order

pytestmark = pytest.mark.slow

TOKENS = 12_000
Start = Callable[..., Pod]


@pytest.fixture
def start(settings: StoreSettings, tmp_path: Path) -> Iterator[Start]:
    pods: list[Pod] = []

    def begin(key: str, **environment: str) -> Pod:
        pods.append(Pod(settings, key, tmp_path / f"pod-{len(pods)}", environment))
        return pods[-1]

    yield begin
    for pod in pods:
        pod.close()


def _nodes(start: Start, key: str, shared: Path) -> tuple[Pod, Pod]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    first, second = (
        start(
            key,
            JOBS_CHECKPOINT_FOLDER=str(shared),
            WORLD_SIZE="2",
            RANK=str(rank),
            PET_NNODES="2",
            PET_NPROC_PER_NODE="1",
            PET_NODE_RANK=str(rank),
            PET_MASTER_ADDR="127.0.0.1",
            PET_MASTER_PORT=port,
        )
        for rank in range(2)
    )
    return first, second


def _trained_tokens(store: ObjectStore, each: TrainingOrder) -> int:
    return each.published(store).manifest().counts["tokens"]


def test_two_nodes_that_vanish_go_on_from_the_folder_they_share(
    store: ObjectStore, start: Start, tmp_path: Path
) -> None:
    together = order("together", TOKENS)
    key = write_order(store, together)
    shared = tmp_path / "shared"
    first, second = _nodes(start, key, shared)
    first.wait_for("training.progress")
    deadline = time.monotonic() + WAIT_SECONDS
    while not list(shared.glob("*/checkpoint-*/complete.json")):
        assert time.monotonic() < deadline, first.events
        time.sleep(0.01)
    first.kill()
    second.kill()
    assert not together.published(store).is_complete()

    first, second = _nodes(start, key, shared)

    assert (first.end()[0], second.end()[0]) == (0, 0)
    assert first.named("training.resumed")
    assert first.named("job.published")
    assert second.named("job.published") == []
    assert together.published(store).manifest().digest == together.digest
    assert "model.safetensors" in together.published(store).manifest().files
    assert _trained_tokens(store, together) > TOKENS - 100
    assert list(shared.iterdir()) == []
    assert copies(store, together) == []
    late = start(key, JOBS_CHECKPOINT_FOLDER=str(shared), PET_NNODES="2", PET_NODE_RANK="1")
    assert late.end() == (0, "")


def test_processes_of_one_node_stop_together_and_their_checkpoint_is_kept(
    store: ObjectStore, start: Start
) -> None:
    pair = order("pair", TOKENS, checkpoint_every_steps=1000)
    pod = start(write_order(store, pair), JOBS_PROCESSES="2")
    pod.wait_for("training.progress")

    pod.process.send_signal(signal.SIGTERM)

    assert pod.end()[0] == 143
    assert pod.named("training.stopped")
    last = pod.named("job.checkpoint_copied")[-1]["step"]
    assert f"orders/pair/checkpoints/checkpoint-{last}/manifest.json" in copies(store, pair)


def test_bad_input_of_several_processes_is_no_reason_to_try_again(
    store: ObjectStore, start: Start
) -> None:
    wrong = order("wrong", TOKENS, batch_tokens=0)

    status, complaint = start(write_order(store, wrong), JOBS_PROCESSES="2").end()

    assert status == 2
    assert "batch_tokens: Input should be greater than or equal to 8" in complaint
