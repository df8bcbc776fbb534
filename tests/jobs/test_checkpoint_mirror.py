"""Copies of unfinished checkpoints: whole ones only, the newest two, of this order alone."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.jobs.events import JobLog
from pipelines.jobs.mirror import CheckpointMirror
from pipelines.jobs.order import TrainingOrder
from services.servicekit.errors import StoreUnavailable
from services.servicekit.storage.directory import DirectoryStore

ORDER = TrainingOrder(
    name="arm",
    digest="d" * 64,
    output="checkpoints/arm",
    program="p" * 64,
    spec={},
    folders={},
    parameters={},
    inputs={},
)
PREFIX = "orders/arm/checkpoints/"


class _Store(DirectoryStore):
    """Calls something before every file that is written; it may fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before_put: Callable[[str], None] = lambda _: None

    def put(self, key: str, data: bytes) -> None:
        self.before_put(key)
        super().put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        self.before_put(key)
        super().put_file(key, path)


class _Node:
    """A disk with a training's checkpoints, and the mirror that looks after it."""

    def __init__(self, folder: Path, store: DirectoryStore, order: TrainingOrder = ORDER) -> None:
        self.result = folder / "output"
        self.result.mkdir(parents=True)
        self._said = io.BytesIO()
        self.mirror = CheckpointMirror(order, store, folder, self.result, JobLog(self._said))

    def checkpoint(self, step: int, content: str, *, is_whole: bool = True) -> Path:
        folder = self.result / f"checkpoint-{step}"
        (folder / "shards").mkdir(parents=True)
        (folder / "shards" / "0.distcp").write_text(content)
        if is_whole:
            (folder / "complete.json").write_text("{}")
        return folder

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._said.getvalue().splitlines()]

    def here(self) -> list[str]:
        return sorted(path.name for path in self.result.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> _Store:
    return _Store(tmp_path / "store")


@pytest.fixture
def node(tmp_path: Path, store: _Store) -> _Node:
    return _Node(tmp_path / "first", store)


@pytest.fixture
def fresh(tmp_path: Path, store: _Store) -> _Node:
    return _Node(tmp_path / "second", store)


def _steps(store: DirectoryStore) -> list[str]:
    return sorted({key.removeprefix(PREFIX).split("/")[0] for key in store.keys(PREFIX)})


def test_the_newest_whole_checkpoint_goes_from_node_to_node(node: _Node, fresh: _Node) -> None:
    node.checkpoint(10, "ten")
    node.mirror.copy_newest()
    node.checkpoint(20, "twenty")
    node.checkpoint(30, "half", is_whole=False)
    node.mirror.copy_newest()

    fresh.mirror.restore()

    assert fresh.here() == ["checkpoint-20"]
    assert (fresh.result / "checkpoint-20" / "shards" / "0.distcp").read_text() == "twenty"
    assert (fresh.result / "checkpoint-20" / "complete.json").exists()
    assert fresh.events() == [{"event": "job.checkpoint_restored", "step": 20}]


def test_the_newest_two_copies_are_kept(node: _Node, store: _Store) -> None:
    for step in (9, 10, 100, 11_000):
        node.checkpoint(step, str(step))
        node.mirror.copy_newest()

    assert _steps(store) == ["checkpoint-100", "checkpoint-11000"]


def test_a_checkpoint_is_copied_once(node: _Node, store: _Store, tmp_path: Path) -> None:
    node.checkpoint(10, "ten")
    node.mirror.copy_newest()
    written: list[str] = []
    store.before_put = written.append

    node.mirror.copy_newest()
    again = _Node(tmp_path / "again", store)
    again.checkpoint(10, "ten")
    again.mirror.copy_newest()

    assert written == []


def test_a_checkpoint_that_the_program_removes_meanwhile_is_copied_to_its_end(
    node: _Node, fresh: _Node, store: _Store
) -> None:
    folder = node.checkpoint(10, "ten")

    def remove_it(_: str) -> None:
        for path in (folder / "shards" / "0.distcp", folder / "complete.json"):
            path.unlink(missing_ok=True)

    store.before_put = remove_it
    node.mirror.copy_newest()
    fresh.mirror.restore()

    assert (fresh.result / "checkpoint-10" / "shards" / "0.distcp").read_text() == "ten"


def test_an_outage_half_way_leaves_no_copy_and_the_next_try_makes_it(
    node: _Node, fresh: _Node, store: _Store
) -> None:
    def fail(key: str) -> None:
        if key.endswith("manifest.json"):
            raise StoreUnavailable("store", "it does not answer")

    node.checkpoint(10, "ten")
    store.before_put = fail
    with pytest.raises(StoreUnavailable):
        node.mirror.copy_newest()
    fresh.mirror.restore()
    assert fresh.here() == []
    assert fresh.events() == [
        {
            "event": "job.checkpoint_ignored",
            "checkpoint": "checkpoint-10",
            "reason": "it was not copied to the end",
        }
    ]

    store.before_put = lambda _: None
    node.mirror.copy_newest()
    fresh.mirror.restore()
    assert fresh.here() == ["checkpoint-10"]


def test_what_an_outage_left_of_older_checkpoints_is_removed(node: _Node, store: _Store) -> None:
    store.put(f"{PREFIX}checkpoint-5/shards/0.distcp", b"cut off")
    node.checkpoint(10, "ten")
    node.mirror.copy_newest()

    assert _steps(store) == ["checkpoint-10"]


@pytest.mark.parametrize("damage", [b"changed", None])
def test_a_damaged_copy_is_passed_over_for_the_one_before(
    node: _Node, fresh: _Node, store: _Store, damage: bytes | None
) -> None:
    for step in (10, 20):
        node.checkpoint(step, str(step))
        node.mirror.copy_newest()
    if damage is None:
        store.delete(f"{PREFIX}checkpoint-20/shards/0.distcp")
    else:
        store.put(f"{PREFIX}checkpoint-20/shards/0.distcp", damage)

    fresh.mirror.restore()

    assert fresh.here() == ["checkpoint-10"]
    assert [event["event"] for event in fresh.events()] == [
        "job.checkpoint_ignored",
        "job.checkpoint_restored",
    ]
    assert "checkpoint-20/shards/0.distcp" in fresh.events()[0]["reason"]


def test_a_newer_checkpoint_on_the_disk_is_left_alone(node: _Node, fresh: _Node) -> None:
    node.checkpoint(10, "ten")
    node.mirror.copy_newest()
    fresh.checkpoint(12, "twelve")

    fresh.mirror.restore()

    assert fresh.here() == ["checkpoint-12"]


def test_a_half_checkpoint_on_the_disk_gives_way_to_its_copy(node: _Node, fresh: _Node) -> None:
    node.checkpoint(10, "ten")
    node.mirror.copy_newest()
    fresh.checkpoint(10, "half", is_whole=False)

    fresh.mirror.restore()

    assert (fresh.result / "checkpoint-10" / "shards" / "0.distcp").read_text() == "ten"


def test_copies_of_another_order_under_the_name_are_not_restored_but_replaced(
    store: _Store, tmp_path: Path
) -> None:
    other = _Node(tmp_path / "other", store, ORDER.model_copy(update={"digest": "e" * 64}))
    other.checkpoint(10, "another training")
    other.mirror.copy_newest()
    node = _Node(tmp_path / "node", store)
    node.mirror.restore()
    assert node.here() == []

    node.checkpoint(10, "ten")
    node.mirror.copy_newest()
    fresh = _Node(tmp_path / "fresh", store)
    fresh.mirror.restore()

    assert (fresh.result / "checkpoint-10" / "shards" / "0.distcp").read_text() == "ten"


def test_a_finished_training_leaves_no_copies(node: _Node, store: _Store) -> None:
    for step in (10, 20):
        node.checkpoint(step, str(step))
        node.mirror.copy_newest()
    store.put("orders/armed/checkpoints/checkpoint-1/state", b"of a neighbour")

    node.mirror.remove()

    assert list(store.keys()) == ["orders/armed/checkpoints/checkpoint-1/state"]


def test_a_training_without_checkpoints_has_nothing_to_copy_or_restore(
    node: _Node, store: _Store
) -> None:
    node.mirror.copy_newest()
    node.mirror.restore()

    assert list(store.keys()) == []
    assert node.events() == []
