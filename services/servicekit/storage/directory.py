"""Object store in a local directory: the embedded default. Knows no network."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.servicekit.disk_faults import disk_fault
from services.servicekit.errors import ResourceConflict, StoreUnavailable
from services.servicekit.storage.port import ObjectNotFound, check_key, check_prefix, is_segment
from services.servicekit.storage.temporary import replaced_whole

_CHUNK_BYTES = 1 << 20


class DirectoryStore:
    """Objects as files below one directory, published by rename.

    A file whose name cannot be a key is no object: temporary files contain "~" and so are never
    listed, even where a killed process left them behind.
    """

    def __init__(self, root: Path) -> None:
        """Use this directory, made if it is missing.

        Raises:
            StoreUnavailable: the directory cannot be made.
        """
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 (resolve would follow the mount)
        with self._plain_faults():
            self._root.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> bytes:
        """Return the whole content."""
        path = self._path(key)
        with self._reading(key):
            return path.read_bytes()

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object, durably and all at once."""
        self._publish(key, lambda temporary: _write(temporary, data))

    def exists(self, key: str) -> bool:
        """Say whether something was put under this key."""
        path = self._path(key)
        with self._plain_faults():
            if path.is_file():
                return True
            self._check_root()
            return False

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the keys that start with this text, sorted by code point."""
        folder = check_prefix(prefix).rpartition("/")[0]
        with self._plain_faults():
            self._check_root()
            yield from self._walk(f"{folder}/" if folder else "", prefix)

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        path = self._path(key)
        with self._plain_faults():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._check_root()

    def fetch_file(self, key: str, path: Path) -> None:
        """Copy an object into a local file, which appears whole or not at all."""
        source = self._path(key)
        with self._reading(key):
            reader = source.open("rb")
        with reader, replaced_whole(path) as temporary, temporary.open("xb") as writer:
            shutil.copyfileobj(reader, writer, length=_CHUNK_BYTES)

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with a local file's content."""
        with path.open("rb") as reader:

            def copy(temporary: Path) -> None:
                with temporary.open("xb") as writer:
                    shutil.copyfileobj(reader, writer, length=_CHUNK_BYTES)
                    writer.flush()
                    os.fsync(writer.fileno())

            self._publish(key, copy)

    def _publish(self, key: str, write: Callable[[Path], None]) -> None:
        path = self._path(key)
        with self._plain_faults():
            self._check_root()
            self._make_folders(key)
            try:
                with replaced_whole(path) as temporary:
                    write(temporary)
            except (IsADirectoryError, NotADirectoryError):
                detail = "it is the folder of other objects and cannot be an object as well"
                raise ResourceConflict("object", key, detail) from None
            _sync_directory(path.parent)

    def _make_folders(self, key: str) -> None:
        # Never with parents=True: a root that vanished must not come back empty.
        folder = self._root
        for segment in key.split("/")[:-1]:
            parent, folder = folder, folder / segment
            try:
                folder.mkdir()
            except FileExistsError:
                if not folder.is_dir():
                    taken = folder.relative_to(self._root).as_posix()
                    detail = f'"{taken}" is an object and cannot be a folder as well'
                    raise ResourceConflict("object", key, detail) from None
            else:
                _sync_directory(parent)

    def _walk(self, folder: str, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(self._root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        # A folder sorts as its keys do, with the slash: "a-b" < "a/b" < "a0".
        names = sorted(
            f"{entry.name}/" if entry.is_dir() else entry.name
            for entry in entries
            if is_segment(entry.name)
        )
        for name in names:
            path = folder + name
            if not path.endswith("/"):
                if path.startswith(prefix):
                    yield path
            elif path.startswith(prefix) or prefix.startswith(path):
                yield from self._walk(path, prefix)

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _check_root(self) -> None:
        if not self._root.is_dir():
            raise StoreUnavailable(str(self._root), "the directory does not exist any more")

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with self._plain_faults():
            try:
                yield
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._check_root()
                raise ObjectNotFound(key) from None

    @contextmanager
    def _plain_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            words = disk_fault(error) or error.strerror or str(error)
            raise StoreUnavailable(str(self._root), words) from error


def _write(temporary: Path, data: bytes) -> None:
    with temporary.open("xb") as writer:
        writer.write(data)
        writer.flush()
        os.fsync(writer.fileno())


def _sync_directory(folder: Path) -> None:
    # Without it the rename itself may be lost in a power cut.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
