"""Outputs in the store: complete or absent, and checked before they are used."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from pipelines.outputs import Manifest, Output, files_below
from services.servicekit.errors import StoredObjectCorrupt, StoreUnavailable
from services.servicekit.storage.directory import DirectoryStore
from services.servicekit.storage.port import ObjectNotFound


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(store=DirectoryStore(tmp_path / "store"), prefix="datasets/abc")


def publish(
    output: Output, files: Mapping[str, bytes | Path], written: Iterable[str] = ()
) -> Manifest:
    return output.publish(
        kind="dataset",
        digest="abc",
        parameters={"tokens": 7},
        inputs={"start": "def"},
        counts={"examples": 2},
        files=files,
        written=written,
    )


def test_files_without_a_manifest_are_no_output(output: Output) -> None:
    output.store.put(output.key("a.parquet"), b"a")
    assert not output.is_complete()
    assert output.file_names() == ["a.parquet"]
    with pytest.raises(ObjectNotFound):
        output.read("a.parquet")


def test_a_published_output_is_complete_and_read_back(output: Output, tmp_path: Path) -> None:
    manifest = publish(output, {"b/c.txt": b"two", "a.txt": b"one"})
    assert output.is_complete()
    assert output.manifest() == manifest
    assert output.read("a.txt") == b"one"
    assert list(output.read_all()) == ["a.txt", "b/c.txt"]
    assert output.read_all(prefix="b/") == {"b/c.txt": b"two"}
    output.fetch(tmp_path / "copy")
    assert (tmp_path / "copy" / "b" / "c.txt").read_bytes() == b"two"


def test_shards_that_were_written_before_become_an_output(output: Output) -> None:
    for name in ("examples-00001.parquet", "examples-00000.parquet"):
        output.store.put(output.key(name), name.encode())
    manifest = publish(output, {"card.md": b"new"}, written=output.file_names())
    assert list(manifest.files) == ["card.md", "examples-00000.parquet", "examples-00001.parquet"]
    assert output.read("examples-00001.parquet") == b"examples-00001.parquet"
    assert output.read("card.md") == b"new"


def test_a_file_that_is_written_anew_is_in_the_manifest_as_it_is_now(output: Output) -> None:
    output.store.put(output.key("card.md"), b"of a run that was killed")
    publish(output, {"card.md": b"new"}, written=output.file_names())
    assert output.read("card.md") == b"new"


def test_the_same_files_have_the_same_manifest(tmp_path: Path) -> None:
    contents = []
    for name, files in (("one", {"a": b"1", "b": b"2"}), ("two", {"b": b"2", "a": b"1"})):
        output = Output(store=DirectoryStore(tmp_path / name), prefix="datasets/abc")
        publish(output, files)
        contents.append(output.store.get("datasets/abc/manifest.json"))
    assert contents[0] == contents[1]


@pytest.mark.parametrize("content", [b"changed!", b"", b"longer than before"])
def test_a_file_that_was_changed_is_corrupt_and_named(
    output: Output, tmp_path: Path, content: bytes
) -> None:
    publish(output, {"a.txt": b"original", "b.txt": b"fine"})
    (tmp_path / "store" / "datasets" / "abc" / "a.txt").write_bytes(content)
    with pytest.raises(StoredObjectCorrupt, match="delete the folder 'datasets/abc'") as raised:
        output.read("a.txt")
    assert raised.value.metadata["key"] == "datasets/abc/a.txt"
    with pytest.raises(StoredObjectCorrupt):
        output.read_all()
    assert output.read("b.txt") == b"fine"


def test_a_corrupt_file_is_never_fetched(output: Output, tmp_path: Path) -> None:
    publish(output, {"a.txt": b"original"})
    output.store.put(output.key("a.txt"), b"changed!")
    with pytest.raises(StoredObjectCorrupt):
        output.fetch(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_the_manifest_lists_and_the_store_lost_is_named(output: Output) -> None:
    publish(output, {"a.txt": b"original"})
    output.store.delete(output.key("a.txt"))
    with pytest.raises(ObjectNotFound, match=r"datasets/abc/a\.txt"):
        output.read("a.txt")


def test_a_file_beside_the_manifest_is_not_part_of_the_output(output: Output) -> None:
    publish(output, {"a.txt": b"original"})
    output.store.put(output.key("stray.txt"), b"stray")
    assert list(output.read_all()) == ["a.txt"]
    with pytest.raises(ObjectNotFound):
        output.read("stray.txt")


def test_a_folder_is_published_and_fetched_without_its_files_in_memory(
    output: Output, tmp_path: Path
) -> None:
    source = tmp_path / "model"
    (source / "nested").mkdir(parents=True)
    with (source / "weights").open("wb") as file:
        file.truncate(256 << 20)
    (source / "nested" / "config.json").write_bytes(b"{}")
    tracemalloc.start()
    manifest = publish(output, files_below(source))
    output.fetch(tmp_path / "copy")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert list(manifest.files) == ["nested/config.json", "weights"]
    assert manifest.files["weights"].bytes == 256 << 20
    assert (tmp_path / "copy" / "weights").stat().st_size == 256 << 20
    assert peak < 16 << 20


class _Cut(DirectoryStore):
    """A store that stops answering after some files were fetched."""

    def __init__(self, root: Path, answers: int) -> None:
        super().__init__(root)
        self.answers = answers
        self.fetched: list[str] = []

    def fetch_file(self, key: str, path: Path) -> None:
        if len(self.fetched) >= self.answers:
            raise StoreUnavailable("store", "it was cut off")
        self.fetched.append(key)
        super().fetch_file(key, path)


def test_a_fetch_that_was_cut_off_shows_nothing_and_goes_on_where_it_was(
    output: Output, tmp_path: Path
) -> None:
    publish(output, {f"part-{number}": bytes([number]) for number in range(20)})
    store = _Cut(tmp_path / "store", answers=7)
    target = tmp_path / "copy"
    with pytest.raises(StoreUnavailable):
        Output(store=store, prefix=output.prefix).fetch(target)
    assert not target.exists()
    (tmp_path / "copy.partial" / "stray").write_bytes(b"of another output")
    damaged = next((tmp_path / "copy.partial").glob("part-*"))
    damaged.write_bytes(b"damaged")

    store.answers = 100
    Output(store=store, prefix=output.prefix).fetch(target)

    assert sorted(path.name for path in target.iterdir()) == sorted(output.manifest().files)
    assert (target / damaged.name).read_bytes() == output.read(damaged.name)
    assert len(store.fetched) == 20 + 1
    assert not (tmp_path / "copy.partial").exists()


def test_a_file_that_cannot_be_written_leaves_no_manifest(output: Output, tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = {"a": b"a", "b": tmp_path / "never-made"}
    files |= {f"c{n}": b"c" for n in range(50)}
    with pytest.raises(FileNotFoundError):
        publish(output, files)
    assert not output.is_complete()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind": "dataset"}'])
def test_a_manifest_that_is_none_is_corrupt_and_named(output: Output, content: bytes) -> None:
    output.store.put(output.key("manifest.json"), content)
    with pytest.raises(StoredObjectCorrupt, match="is no manifest") as raised:
        output.manifest()
    assert raised.value.metadata["key"] == "datasets/abc/manifest.json"


def test_a_removed_output_leaves_nothing_and_no_neighbour_is_touched(output: Output) -> None:
    neighbour = Output(store=output.store, prefix="datasets/abcd")
    publish(neighbour, {"a.txt": b"other"})
    publish(output, {"a.txt": b"one", "b/c.txt": b"two"})
    output.remove()
    assert not output.is_complete()
    assert list(output.store.keys("datasets/abc/")) == []
    assert neighbour.read("a.txt") == b"other"
