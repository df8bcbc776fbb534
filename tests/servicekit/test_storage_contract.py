"""What both stores promise, tried on a directory and on a real S3 server."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.servicekit.errors import InvalidField
from services.servicekit.storage.port import ObjectNotFound, ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.servicekit.s3_server import S3Server

LARGE = bytes(range(256)) * 30_000  # 7.7 MB: more than one part of a multipart upload


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return open_store(StoreSettings(root=tmp_path / "store"))
    server: S3Server = request.getfixturevalue("s3_server")
    return open_store(server.settings(bucket=server.new_bucket()))


def test_what_was_put_is_there(store: ObjectStore) -> None:
    store.put("runs/one/a.parquet", b"content")

    assert store.exists("runs/one/a.parquet")
    assert store.get("runs/one/a.parquet") == b"content"
    assert list(store.keys()) == ["runs/one/a.parquet"]


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("done", b"")

    assert store.exists("done")
    assert store.get("done") == b""


def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    store.put("a", b"a long first content")
    store.put("a", b"short")

    assert store.get("a") == b"short"


def test_a_large_object_comes_back_whole(store: ObjectStore) -> None:
    store.put("large", LARGE)

    assert store.get("large") == LARGE


def test_a_missing_object_is_named(store: ObjectStore, tmp_path: Path) -> None:
    target = tmp_path / "target"

    assert not store.exists("runs/nope")
    with pytest.raises(ObjectNotFound, match='there is no object named "runs/nope"'):
        store.get("runs/nope")
    with pytest.raises(ObjectNotFound):
        store.fetch_file("runs/nope", target)
    assert list(tmp_path.glob("target*")) == []


def test_deleting_twice_is_no_error(store: ObjectStore) -> None:
    store.put("a/b", b"1")

    store.delete("a/b")
    store.delete("a/b")
    store.delete("a/never")

    assert not store.exists("a/b")
    assert list(store.keys()) == []


def test_the_folder_of_a_key_is_no_object(store: ObjectStore) -> None:
    store.put("a/b", b"1")

    assert not store.exists("a")
    assert not store.exists("a/b/c")
    store.delete("a")
    with pytest.raises(ObjectNotFound):
        store.get("a")
    assert store.get("a/b") == b"1"


def test_files_go_in_and_come_out(store: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    target.write_bytes(b"before")

    store.put_file("a/large", source)
    store.fetch_file("a/large", target)

    assert target.read_bytes() == LARGE
    assert list(tmp_path.glob("*~*")) == []


def test_a_local_file_that_is_missing_is_no_fault_of_the_store(
    store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file("a", tmp_path / "nowhere")
    assert list(store.keys()) == []


def test_keys_are_sorted_as_text_even_where_folders_sort_otherwise(store: ObjectStore) -> None:
    names = ["a/b", "a-b", "a.b", "a0", "a/b-c/d", "b", "a/c", "A", "a/b0"]
    for name in names:
        store.put(name, b"")

    assert list(store.keys()) == sorted(names)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["run-1/a", "run-1/b/c", "run-10/a", "sum"]),
        ("run-1", ["run-1/a", "run-1/b/c", "run-10/a"]),
        ("run-1/", ["run-1/a", "run-1/b/c"]),
        ("run-1/b", ["run-1/b/c"]),
        ("run-1/b/c", ["run-1/b/c"]),
        ("run-1/b/c/", []),
        ("nope/", []),
        ("su", ["sum"]),
    ],
)
def test_a_prefix_is_a_start_of_text(store: ObjectStore, prefix: str, expected: list[str]) -> None:
    for name in ("sum", "run-10/a", "run-1/b/c", "run-1/a"):
        store.put(name, b"")

    assert list(store.keys(prefix)) == expected


@pytest.mark.parametrize("key", ["", "../escape", "/etc/passwd", "a b", "a/../../b"])
def test_no_operation_takes_a_key_that_leaves_the_store(
    store: ObjectStore, key: str, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.touch()
    for operation in (
        lambda: store.get(key),
        lambda: store.put(key, b""),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.fetch_file(key, target),
        lambda: store.put_file(key, target),
    ):
        with pytest.raises(InvalidField):
            operation()


SEGMENTS = st.text("ab.-0", min_size=1, max_size=2).filter(lambda text: text not in {".", ".."})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(names=st.sets(st.lists(SEGMENTS, min_size=3, max_size=3).map("/".join), max_size=8))
def test_any_keys_are_listed_once_and_in_order(names: set[str], tmp_path: Path) -> None:
    store = open_store(StoreSettings(root=tmp_path / str(abs(hash(frozenset(names))))))
    for name in names:
        store.put(name, b"")

    assert list(store.keys()) == sorted(names)
    for prefix in {name[:3] for name in names}:
        expected = sorted(name for name in names if name.startswith(prefix))
        assert list(store.keys(prefix)) == expected
