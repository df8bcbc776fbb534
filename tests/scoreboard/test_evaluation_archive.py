"""What is stored, what is refused, and what half-written or damaged objects are read as."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from services.scoreboard.archive import Archive
from services.scoreboard.board import Scoreboard
from services.scoreboard.catalog import Catalog
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.rates import count_outcomes
from services.servicekit.errors import ResourceConflict, ResourceNotFound, StoredObjectCorrupt
from services.servicekit.storage.directory import DirectoryStore
from tests.scoreboard.conftest import Record
from tests.scoreboard.samples import HIT, header, hits, outcome, outcomes


class FailingStore(DirectoryStore):
    """A directory that dies, as a killed process does, before the n-th object is put."""

    def __init__(self, root: Path, *, puts_before_death: int) -> None:
        super().__init__(root)
        self._puts_left = puts_before_death

    def put(self, key: str, data: bytes) -> None:
        if self._puts_left == 0:
            raise SystemError("killed")
        self._puts_left -= 1
        super().put(key, data)


def _files(tmp_path: Path, name: str) -> dict[str, Path]:
    return {path.name.split("-")[0]: path for path in (tmp_path / "store" / name).iterdir()}


def test_what_is_published_is_read_back_as_it_was(archive: Archive) -> None:
    sent = (
        outcome("a", HIT, labels=("seen", "unseen-object"), truncated=True),
        outcome("b", None),
    )

    published = archive.publish(header(), sent)

    assert archive.record(published.name) == published
    assert archive.outcomes(published.name) == sent
    assert published.counts == count_outcomes(sent)
    assert published.num_outcomes == 2


def test_publishing_the_same_again_changes_nothing(record: Record) -> None:
    first = record(header(), hits(3, 10))

    again = record(header(), hits(3, 10)[::-1])

    assert again == first


def test_other_outcomes_under_a_stored_digest_are_a_conflict(record: Record) -> None:
    first = record(header(), hits(3, 10))

    with pytest.raises(ResourceConflict, match="10 outcomes that differ") as caught:
        record(header(), hits(4, 10))

    assert caught.value.metadata["resource_name"] == first.name


@pytest.mark.parametrize("puts_before_death", [0, 1])
def test_an_evaluation_that_was_not_written_whole_does_not_exist(
    tmp_path: Path, puts_before_death: int
) -> None:
    dying = Archive(FailingStore(tmp_path / "store", puts_before_death=puts_before_death))
    with pytest.raises(SystemError):
        dying.publish(header(), hits(3, 10))

    survivor = Archive(DirectoryStore(tmp_path / "store"))

    assert list(survivor.names()) == []
    with pytest.raises(ResourceNotFound):
        survivor.record(header().name)
    assert survivor.publish(header(), hits(4, 10)).num_outcomes == 10


def test_every_replica_shows_what_any_replica_recorded(tmp_path: Path, record: Record) -> None:
    other = Archive(DirectoryStore(tmp_path / "store"))
    catalog = Catalog(other, DecisionArchive(DirectoryStore(tmp_path / "store")))
    catalog.refresh()

    recorded = record(header(), hits(3, 10))

    assert other.record(recorded.name) == recorded
    assert list(catalog.refresh().records) == [recorded.name]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: b"", "EOF"),
        (lambda content: content[: len(content) // 2], "EOF"),
        (lambda content: b"\x00" * len(content), "expected value"),
        (lambda content: content.replace(b'"took_action":3', b'"took_action":0'), "checksum"),
        (lambda content: content.replace(b'"schema_version":1', b'"schema_version":9'), "schema"),
    ],
)
def test_a_damaged_record_is_data_loss_and_hides_no_other(
    tmp_path: Path,
    record: Record,
    store: DirectoryStore,
    damage: object,
    problem: str,
) -> None:
    damaged, sound = record(header(), hits(3, 10)), record(header(seed=1), hits(3, 10, seed=1))
    path = _files(tmp_path, damaged.name)["record.json"]
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]

    with pytest.raises(StoredObjectCorrupt, match=problem) as caught:
        Archive(store).record(damaged.name)
    contents = Catalog(Archive(store), DecisionArchive(store)).refresh()

    assert caught.value.metadata["key"] == f"{damaged.name}/record.json"
    assert list(contents.records) == [sound.name]
    assert contents.unreadable == {damaged.name}


def test_a_damaged_record_is_logged_once_and_welcome_back_when_repaired(
    tmp_path: Path, record: Record, archive: Archive, kept: DecisionArchive
) -> None:
    damaged = record(header(), hits(3, 10))
    path = _files(tmp_path, damaged.name)["record.json"]
    content = path.read_bytes()
    path.write_bytes(b"{}")
    catalog = Catalog(archive, kept)

    with structlog.testing.capture_logs() as logs:
        catalog.refresh()
        catalog.refresh()
    path.write_bytes(content)

    assert [(log["event"], log["name"]) for log in logs] == [
        ("evaluation.unreadable", damaged.name)
    ]
    assert catalog.refresh().unreadable == frozenset()
    assert list(catalog.contents.records) == [damaged.name]


def test_damaged_outcomes_are_data_loss_where_they_are_needed(
    tmp_path: Path, record: Record, archive: Archive, board: Scoreboard
) -> None:
    damaged = record(header(), hits(3, 10))
    path = _files(tmp_path, damaged.name)["outcomes"]
    path.write_bytes(path.read_bytes().replace(b"took_action", b"no_action"))

    assert board.evaluation(damaged.name) == damaged
    with pytest.raises(StoredObjectCorrupt, match="checksum"):
        board.compare([damaged.name], [damaged.name])
    path.unlink()
    with pytest.raises(StoredObjectCorrupt, match="missing"):
        archive.outcomes(damaged.name)


def test_a_record_under_another_name_is_data_loss(
    tmp_path: Path, record: Record, archive: Archive
) -> None:
    one, other = record(header(), hits(3, 10)), record(header(seed=1), hits(3, 10, seed=1))
    source = _files(tmp_path, other.name)["record.json"]
    _files(tmp_path, one.name)["record.json"].write_bytes(source.read_bytes())

    with pytest.raises(StoredObjectCorrupt, match="holds the record of"):
        archive.record(one.name)


def test_objects_of_others_in_the_store_are_no_evaluations(
    store: DirectoryStore, archive: Archive
) -> None:
    store.put("evaluations/readme/record.json", b"hello")
    store.put("evaluations/notes.json", b"hello")
    store.put("runs/1/record.json", b"hello")

    assert list(archive.names()) == []


def test_the_catalog_keeps_no_family_cells(record: Record, catalog: Catalog) -> None:
    recorded = record(header(), outcomes([HIT]))

    (listed,) = catalog.refresh().records.values()

    assert any(key.family for key in recorded.counts)
    assert not any(key.family for key in listed.counts)
