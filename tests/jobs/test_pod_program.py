"""The program of a training pod, as processes over a real S3 server, through every end there is."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.jobs.order import checkpoints_prefix, write_order
from pipelines.outputs import Output
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings
from tests.jobs.pods import WAIT_SECONDS, Pod, copies, model_files, order
from tests.servicekit.cutting_proxy import cutting_proxy
from tests.servicekit.s3_server import S3Server

pytestmark = pytest.mark.slow

TOKENS = 12_000
Start = Callable[..., Pod]


@pytest.fixture
def start(settings: StoreSettings, tmp_path: Path) -> Iterator[Start]:
    pods: list[Pod] = []

    def begin(key: str, number: int = 0, **environment: str) -> Pod:
        """Start a pod; each number has an empty folder of its own."""
        at = settings
        if "endpoint" in environment:
            at = settings.model_copy(update={"endpoint": environment.pop("endpoint")})
        pods.append(Pod(at, key, tmp_path / f"pod-{number}", environment))
        return pods[-1]

    yield begin
    for pod in pods:
        pod.close()


@pytest.fixture(scope="module")
def uninterrupted(
    settings: StoreSettings, store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What the same training comes to when nothing happens to it."""
    whole = order("whole", TOKENS)
    pod = Pod(settings, write_order(store, whole), tmp_path_factory.mktemp("pod"))
    try:
        assert pod.end() == (0, "")
    finally:
        pod.close()
    manifest = whole.published(store).manifest()
    assert (manifest.kind, manifest.digest) == ("checkpoint", whole.digest)
    assert manifest.parameters == {"arm": "rhymes"}
    assert manifest.inputs == {"mixture/0": "r" * 64}
    assert (
        manifest.counts["tokens"]
        == json.loads(whole.published(store).read("training.json"))["tokens"]
    )
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= manifest.files.keys()
    assert pod.named("job.published")
    assert pod.named("training.progress")
    assert pod.named("job.checkpoint_copied")
    assert copies(store, whole) == []
    return model_files(store, whole)


def test_a_published_order_is_done_at_once(
    uninterrupted: dict[str, bytes], store: ObjectStore, start: Start
) -> None:
    store.put("orders/whole/checkpoints/checkpoint-7/state", b"left by a killed pod")
    pod = start("orders/whole/order.json")

    assert pod.end() == (0, "")
    assert [event["event"] for event in pod.events] == ["job.already_published"]
    assert copies(store, order("whole", TOKENS)) == []
    assert model_files(store, order("whole", TOKENS)) == uninterrupted


def test_a_node_that_vanishes_costs_what_was_not_copied_and_changes_no_byte(
    uninterrupted: dict[str, bytes], store: ObjectStore, start: Start
) -> None:
    killed = order("killed", TOKENS)
    key = write_order(store, killed)
    first = start(key, 1)
    copied = first.wait_for("job.checkpoint_copied")["step"]
    first.kill()
    assert not killed.published(store).is_complete()
    # As if the node had vanished in the middle of the next copy.
    store.put(f"{checkpoints_prefix('killed')}/checkpoint-100000/state.bin", b"begun, not ended")

    again = start(key, 2)
    status, complaint = again.end()

    assert (status, complaint) == (0, "")
    (ignored,) = again.named("job.checkpoint_ignored")
    assert ignored["checkpoint"] == "checkpoint-100000"
    assert ignored["reason"] == "it was not copied to the end"
    restored = again.named("job.checkpoint_restored")[0]["step"]
    assert restored >= copied
    assert again.named("training.resumed")[0]["step"] == restored
    assert model_files(store, killed) == uninterrupted
    assert copies(store, killed) == []


def test_sigterm_keeps_the_last_step_and_an_outage_of_the_store_loses_nothing(
    uninterrupted: dict[str, bytes], store: ObjectStore, s3_server: S3Server, start: Start
) -> None:
    stopped = order("stopped", TOKENS, checkpoint_every_steps=20)
    key = write_order(store, stopped)
    first = start(key, 1)
    first.wait_for("training.progress")
    first.process.send_signal(signal.SIGTERM)
    status, complaint = first.end()
    assert (status, complaint) == (143, "")
    last = first.named("job.checkpoint_copied")[-1]["step"]

    with cutting_proxy(s3_server.endpoint) as proxy:
        again = start(key, 2, endpoint=proxy.endpoint)
        resumed = again.wait_for("training.resumed")["step"]
        proxy.is_open = False
        again.wait_for("training.done")
        again.wait_for("job.store_unavailable")
        assert not stopped.published(store).is_complete()
        proxy.is_open = True
        assert again.end() == (0, "")

    assert again.named("job.checkpoint_not_copied")
    assert resumed == last
    assert model_files(store, stopped) == uninterrupted
    assert copies(store, stopped) == []


def test_a_store_that_stays_away_is_said_in_one_line_and_may_be_retried(
    store: ObjectStore, s3_server: S3Server, start: Start
) -> None:
    away = order("away", TOKENS)
    key = write_order(store, away)
    with cutting_proxy(s3_server.endpoint) as proxy:
        proxy.is_open = False
        pod = start(key, endpoint=proxy.endpoint, JOBS_PATIENCE_SECONDS="0.2")
        status, complaint = pod.end()

    assert status == 138
    assert complaint.startswith(f"error: order {key}: store s3://{proxy.endpoint}/")
    assert complaint.count("\n") == 1


def test_sigterm_before_training_ends_at_once(
    store: ObjectStore, s3_server: S3Server, start: Start
) -> None:
    key = write_order(store, order("early", TOKENS))
    with cutting_proxy(s3_server.endpoint) as proxy:
        proxy.holds_up_after = 0
        pod = start(key, endpoint=proxy.endpoint)
        assert proxy.is_held.wait(WAIT_SECONDS)
        pod.process.send_signal(signal.SIGTERM)

        assert pod.end() == (143, "")


def test_a_program_that_is_killed_for_its_memory_may_be_retried(
    store: ObjectStore, start: Start
) -> None:
    pod = start(write_order(store, order("greedy", TOKENS)))
    program = None
    deadline = time.monotonic() + WAIT_SECONDS
    while not program:
        assert time.monotonic() < deadline
        program = psutil.Process(pod.process.pid).children()
        time.sleep(0.01)
    program[0].kill()

    assert pod.end() == (137, "error: the training program ended with exit status 137\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("no order", 'there is no object named "orders/broken/order.json"'),
        ("not an order", "is no order"),
        ("no input", 'there is no object named "datasets/never-written/manifest.json"'),
        ("changed input", "differs from its manifest"),
        ("path outside", "is no relative path below the job's folder"),
        ("wrong spec", "batch_tokens"),
        ("another program", "use the image of the release that wrote the order"),
    ],
)
def test_what_no_retry_can_mend_ends_with_2_and_one_line(
    store: ObjectStore, start: Start, damage: str, words: str
) -> None:
    broken = order("broken", TOKENS)
    if damage == "no input":
        broken = broken.model_copy(update={"folders": {"data/rhymes": "datasets/never-written"}})
    if damage == "changed input":
        Output(store=store, prefix="datasets/changed").publish(
            kind="dataset", digest="c", parameters={}, inputs={}, counts={}, files={"a": b"a"}
        )
        store.put("datasets/changed/a", b"b")
        broken = broken.model_copy(update={"folders": {"data/rhymes": "datasets/changed"}})
    if damage == "path outside":
        broken = broken.model_copy(update={"folders": {"../rhymes": "datasets/rhymes"}})
    if damage == "another program":
        broken = broken.model_copy(update={"program": "0" * 64})
    if damage == "wrong spec":
        broken = order("broken", TOKENS, batch_tokens=0)
    key = write_order(store, broken)
    if damage == "not an order":
        store.put(key, b"{}")
    if damage == "no order":
        store.delete(key)

    status, complaint = start(key).end()

    assert status == 2
    assert words in complaint
    if damage not in {"not an order", "path outside"}:
        assert complaint.count("\n") == 1
