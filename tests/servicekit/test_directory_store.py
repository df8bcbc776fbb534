"""The directory store when the disk misbehaves."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services.servicekit.errors import ResourceConflict, StoreUnavailable
from services.servicekit.storage.directory import DirectoryStore
from services.servicekit.storage.settings import StoreSettings, open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_is_said_in_plain_words_and_leaves_the_old_object(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a/b", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match="store is unavailable: the disk is full"):
            store.put("a/b", b"new")

    assert store.get("a/b") == b"old"
    assert files_in(tmp_path / "store") == ["a/b"]


def test_a_disk_that_really_fills_up_leaves_no_part_of_an_object(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from services.servicekit.errors import StoreUnavailable\n"
        "from services.servicekit.storage.directory import DirectoryStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "store = DirectoryStore(Path(sys.argv[1]))\n"
        "store.put('small', b'fits')\n"
        "try:\n"
        "    store.put('large', bytes(1 << 20))\n"
        "except StoreUnavailable as error:\n"
        "    print(error)\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "larger than the largest file allowed" in result.stdout
    assert files_in(tmp_path) == ["small"]


def test_a_root_that_vanished_is_unavailable_and_does_not_come_back_empty(
    store: DirectoryStore, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.touch()
    shutil.rmtree(tmp_path / "store")

    for operation in (
        lambda: store.get("a"),
        lambda: store.put("a/b", b""),
        lambda: store.exists("a"),
        lambda: list(store.keys()),
        lambda: store.delete("a"),
        lambda: store.put_file("a", source),
        lambda: store.fetch_file("a", tmp_path / "target"),
    ):
        with pytest.raises(StoreUnavailable, match="does not exist any more"):
            operation()
    assert not (tmp_path / "store").exists()


def test_a_root_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable, match="file"):
        open_store(StoreSettings(root=tmp_path / "file" / "store"))


def test_what_a_killed_writer_left_is_never_listed(store: DirectoryStore, tmp_path: Path) -> None:
    store.put("a/b", b"whole")
    (tmp_path / "store" / "a" / "b~0123456789abcdef").write_bytes(b"part")

    assert list(store.keys()) == ["a/b"]
    assert list(store.keys("a/b")) == ["a/b"]


def test_a_writer_killed_at_any_time_leaves_old_or_new_content(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from services.servicekit.storage.directory import DirectoryStore\n"
        "store = DirectoryStore(Path(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for letter in b'ab':\n"
        "        store.put('object', bytes([letter]) * 500_000)\n"
    )
    store = DirectoryStore(tmp_path)
    store.put("object", b"a" * 500_000)

    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            seen = {store.get("object")[:1] for _ in range(20)}
            writer.send_signal(signal.SIGKILL)
        content = store.get("object")

        assert seen <= {b"a", b"b"}
        assert content in {b"a" * 500_000, b"b" * 500_000}
        assert list(store.keys()) == ["object"]


def test_writers_of_one_key_do_not_mix(store: DirectoryStore) -> None:
    contents = [bytes([letter]) * 200_000 for letter in b"abcd"]
    threads = [
        threading.Thread(target=store.put, args=("deep/er/object", content)) for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.get("deep/er/object") in contents
    assert list(store.keys()) == ["deep/er/object"]


def test_an_object_cannot_be_a_folder_as_well(store: DirectoryStore) -> None:
    store.put("a/b", b"1")

    with pytest.raises(ResourceConflict, match='"a/b" is an object'):
        store.put("a/b/c", b"2")
    with pytest.raises(ResourceConflict, match="folder of other objects"):
        store.put("a", b"3")
    assert store.get("a/b") == b"1"
    assert list(store.keys()) == ["a/b"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_missing_permission_is_said_in_plain_words(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "store").chmod(0o500)

    with pytest.raises(StoreUnavailable, match="this process has no permission"):
        store.put("a", b"")
