"""The local read copy of all kept replies: one SQLite file. Knows no object store.

The object store has the truth, so this file may be deleted, damaged or shared with other processes
at any time: what is unreadable is begun anew, and its user is told by another `generation` that it
must read the segments again.
"""

import fcntl
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from services.servicekit.disk_faults import disk_fault
from services.servicekit.errors import StoreUnavailable
from services.servicekit.logs import get_logger
from services.servicekit.reply_holdings import Holdings
from services.servicekit.reply_segments import Lines

# The number of the layout is in the name, so that two versions never meet in one file.
_FILE = "replies-1.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, reply BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS segments (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_ADD = "INSERT OR IGNORE INTO replies (key, reply) VALUES (?, ?)"
_REPLACE = "INSERT OR REPLACE INTO replies (key, reply) VALUES (?, ?)"
_PAGE_CACHE_KIB = 8192
_BUSY_SECONDS = 30.0  # a segment of another process takes a tenth of one
_MOMENT_SECONDS = 0.01  # asking the file whether others changed it costs ten times a look at ours
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_PLAIN_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process keeps its file locked",
    sqlite3.SQLITE_READONLY: "its file is read-only",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
}

T = TypeVar("T")


class LocalCopy:
    """Replies by key, and the names of the segments that they came from.

    `find` never waits for a writer and is meant for the event loop; everything else blocks.
    All of it may be called from any thread. Memory does not grow with the number of replies.
    What the file surely lacks is known without a look into it, once `take_stock` was called.
    """

    def __init__(self, folder: Path) -> None:
        """Use this folder of a local disk; it is made when it is needed."""
        self._folder = folder
        self._path = folder / _FILE
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader_lock = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._holdings = Holdings()
        self._last_id = -1  # of the rows that the holdings cover; -1 before stock was ever taken
        self._counted_version = -1
        self._current_at = -math.inf
        self.generation = 0
        """Changes when the file may have been begun anew and lack what the one before had."""

    def find(self, key: str) -> bytes | None:
        """Return a reply, at the price of one look-up in an index.

        Raises:
            sqlite3.Error: the file cannot be read just now; find_patiently mends what it can.
        """
        with self._reader_lock:
            if self._reader is None:
                return None
            return None if self._surely_lacks(key, self._reader) else _select(self._reader, key)

    def find_patiently(self, key: str) -> bytes | None:
        """Return a reply as find does; wait for writers, and mend the file if it is damaged.

        Raises:
            StoreUnavailable: the file can neither be read nor begun anew.
        """
        return self._attempted(lambda connection: _select(connection, key))

    def add(self, lines: Lines, segment: str, *, replaces: bool = False) -> None:
        """Take over a segment's replies, all at once, and note its name.

        A key that is there already keeps its reply, unless told otherwise: what a process has
        answered once it goes on answering.

        Raises:
            StoreUnavailable: the file cannot be written.
        """
        statement = _REPLACE if replaces else _ADD

        def insert(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    statement, ((bytes.fromhex(key), reply) for key, reply in lines)
                )
                connection.execute("INSERT OR IGNORE INTO segments VALUES (?)", (segment,))
            if self._last_id >= 0:
                self._count_rows(connection)

        self._attempted(insert)

    def take_stock(self) -> None:
        """Learn the keys of all replies, also of those that other processes added.

        It costs a second for a million replies the first time, and little later on.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        self._attempted(self._count_rows)

    def segments(self) -> set[str]:
        """Return the names of the segments that were taken over.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        return self._attempted(
            lambda connection: {name for (name,) in connection.execute("SELECT name FROM segments")}
        )

    def forget_segments(self, names: Iterable[str]) -> None:
        """Forget names that the store does not hold any more; their replies stay.

        Raises:
            StoreUnavailable: the file cannot be written.
        """
        gone = [(name,) for name in names]

        def delete(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM segments WHERE name = ?", gone)

        if gone:
            self._attempted(delete)

    def close(self) -> None:
        """Close the file; another call opens it again."""
        with self._lock:
            self._disconnect()

    def _attempted(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, self._plain_faults():
            try:
                return work(self._connection())
            except sqlite3.Error as error:
                get_logger().warning("reply_copy.reopened", path=str(self._path), detail=str(error))
                self._reopen(is_damaged=_code(error) in _DAMAGE)
            return work(self._connection())

    def _surely_lacks(self, key: str, reader: sqlite3.Connection) -> bool:
        """Say whether nobody added a key, with what others added in the last moment left out."""
        if not self._holdings.surely_lacks(key):
            return False
        now = time.monotonic()
        if now - self._current_at >= _MOMENT_SECONDS:
            if _version(reader) != self._counted_version:
                return False
            self._current_at = now
        return True

    def _count_rows(self, connection: sqlite3.Connection) -> None:
        with self._reader_lock:
            assert self._reader is not None
            # Asked first: what is written in the meantime makes it another.
            version = _version(self._reader)
        if version == self._counted_version:
            return
        (last_id,) = connection.execute("SELECT coalesce(max(id), 0) FROM replies").fetchone()
        if self._last_id < 0:
            # All of them stand together in the index; by id each would cost a page.
            rows = connection.execute("SELECT key FROM replies")
        else:
            rows = connection.execute("SELECT key FROM replies WHERE id > ?", (self._last_id,))
        self._holdings.add(key for (key,) in rows)
        self._last_id = last_id
        with self._reader_lock:
            self._counted_version = version

    def _connection(self) -> sqlite3.Connection:
        if self._writer is not None and _identity(self._path) != self._identity:
            get_logger().warning("reply_copy.vanished", path=str(self._path))
            self._reopen(is_damaged=False)
        if self._writer is None:
            with self._alone():
                self._connect()
        assert self._writer is not None
        return self._writer

    def _reopen(self, *, is_damaged: bool) -> None:
        self.generation += 1
        with self._alone():
            # Another process may have begun anew already; its file is not the damaged one.
            # Compared before disconnecting, because only a file in use keeps its number.
            is_ours = self._writer is None or _identity(self._path) == self._identity
            self._disconnect()
            if is_damaged and is_ours:
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(_FILE + suffix).unlink(missing_ok=True)
            self._connect()

    def _connect(self) -> None:
        writer = _connected(self._path, wait_seconds=_BUSY_SECONDS)
        try:
            writer.execute("PRAGMA journal_mode = WAL")
            # Safe against a killed process and against a power cut; the last rows may be missing.
            writer.execute("PRAGMA synchronous = NORMAL")
            writer.executescript(_SCHEMA)
            reader = _connected(self._path, wait_seconds=0.0)
        except sqlite3.Error:
            writer.close()
            raise
        self._writer = writer
        self._identity = _identity(self._path)
        with self._reader_lock:
            self._reader = reader
            self._holdings, self._last_id = Holdings(), -1
            self._counted_version, self._current_at = -1, -math.inf

    def _disconnect(self) -> None:
        with self._reader_lock:
            if self._reader:
                self._reader.close()
            self._reader = None
        if self._writer:
            self._writer.close()
        self._writer = None
        self._identity = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time make, replace or open the file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "replies.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _plain_faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            words = _PLAIN_WORDS.get(_code(error), str(error))
            raise StoreUnavailable(str(self._folder), words) from error
        except OSError as error:
            words = disk_fault(error) or error.strerror or str(error)
            raise StoreUnavailable(str(self._folder), words) from error


def _connected(path: Path, *, wait_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
    return connection


def _select(connection: sqlite3.Connection, key: str) -> bytes | None:
    found: tuple[bytes] | None = connection.execute(
        "SELECT reply FROM replies WHERE key = ?", (bytes.fromhex(key),)
    ).fetchone()
    return found[0] if found else None


def _version(connection: sqlite3.Connection) -> int:
    """Return a number that another connection's writing changes."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
