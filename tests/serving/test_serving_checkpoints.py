"""A checkpoint arrives whole or is refused with a sentence."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.servicekit.errors import InvalidField, ResourceNotFound, StoredObjectCorrupt
from services.servicekit.storage.directory import DirectoryStore
from services.serving.checkpoints import CheckpointCache

FILES: Mapping[str, bytes] = {
    "config.json": b"{}",
    "tokenizer.json": b"{ }",
    "model.safetensors": b"weights",
}


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path, store: DirectoryStore) -> CheckpointCache:
    return CheckpointCache(store, tmp_path / "cache")


def _publish(
    store: DirectoryStore, files: Mapping[str, bytes] = FILES, *, listed: object = None
) -> None:
    for path, content in files.items():
        store.put(f"checkpoints/arm/{path}", content)
    entries = {
        path: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for path, content in files.items()
    }
    manifest = {"schema_version": 1, "files": entries if listed is None else listed}
    store.put("checkpoints/arm/manifest.json", json.dumps(manifest).encode())


def _left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


def test_a_checkpoint_is_copied_with_all_its_files(
    store: DirectoryStore, cache: CheckpointCache
) -> None:
    _publish(store)

    folder = cache.fetch("arm")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


def test_a_copy_is_used_again_and_repaired_when_it_was_touched(
    store: DirectoryStore, cache: CheckpointCache
) -> None:
    _publish(store)
    folder = cache.fetch("arm")
    inode = (folder / "config.json").stat().st_ino

    assert cache.fetch("arm") == folder
    assert (folder / "config.json").stat().st_ino == inode
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    assert (cache.fetch("arm") / "model.safetensors").read_bytes() == b"weights"


def test_a_checkpoint_that_was_published_again_gets_a_folder_of_its_own(
    store: DirectoryStore, cache: CheckpointCache
) -> None:
    _publish(store)
    first = cache.fetch("arm")

    _publish(store, {**FILES, "model.safetensors": b"better!"})

    assert cache.fetch("arm") != first
    assert (cache.fetch("arm") / "model.safetensors").read_bytes() == b"better!"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"WEIGHTS", "SHA-256 differs"),
        (b"short", "has 5 bytes, the manifest says 7"),
    ],
)
def test_a_file_that_differs_from_the_manifest_is_refused(
    stored: bytes, message: str, store: DirectoryStore, cache: CheckpointCache, tmp_path: Path
) -> None:
    _publish(store)
    store.put("checkpoints/arm/model.safetensors", stored)

    with pytest.raises(StoredObjectCorrupt, match=message):
        cache.fetch("arm")

    assert _left_in(tmp_path / "cache") == []


def test_a_missing_file_is_refused(
    store: DirectoryStore, cache: CheckpointCache, tmp_path: Path
) -> None:
    _publish(store)
    store.delete("checkpoints/arm/tokenizer.json")

    with pytest.raises(StoredObjectCorrupt, match=r"tokenizer\.json.*the store lacks it"):
        cache.fetch("arm")

    assert _left_in(tmp_path / "cache") == []


def test_a_checkpoint_without_manifest_is_not_complete(
    store: DirectoryStore, cache: CheckpointCache
) -> None:
    _publish(store)
    store.delete("checkpoints/arm/manifest.json")

    with pytest.raises(StoredObjectCorrupt, match="not published completely"):
        cache.fetch("arm")


def test_an_unknown_name_is_answered_with_the_known_ones(
    store: DirectoryStore, cache: CheckpointCache
) -> None:
    _publish(store)

    with pytest.raises(ResourceNotFound, match='no checkpoint named "leg"; known: arm'):
        cache.fetch("leg")


@pytest.mark.parametrize("name", ["", "..", "../arm", "a/b", ".hidden", "-x", "a b", "x" * 201])
def test_a_name_that_could_leave_its_place_is_refused(name: str, cache: CheckpointCache) -> None:
    with pytest.raises(InvalidField, match="name: must be"):
        cache.fetch(name)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({}, "files"),
        ({"config.json": {"sha256": "0" * 64, "bytes": 2}}, "lacks tokenizer.json"),
        ({"../config.json": {"sha256": "0" * 64, "bytes": 2}}, "no path inside the checkpoint"),
        ({"config.json": {"sha256": "short", "bytes": 2}}, "files.config.json.sha256"),
        (7, "files"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    listed: object, message: str, store: DirectoryStore, cache: CheckpointCache
) -> None:
    _publish(store, listed=listed)

    with pytest.raises(StoredObjectCorrupt, match=message):
        cache.fetch("arm")


def test_a_manifest_of_a_later_schema_is_refused(
    store: DirectoryStore, cache: CheckpointCache
) -> None:
    store.put("checkpoints/arm/manifest.json", b'{"schema_version": 2, "files": {}}')

    with pytest.raises(StoredObjectCorrupt, match="schema_version"):
        cache.fetch("arm")
