"""Files and folders that are there completely or not at all. Knows no content."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.training.errors import OutputUnusable

_UNFINISHED = ".unfinished-"
_LOCK = ".lock"
_FULL_BYTES = 1 << 16
_LOCK_POLL_SECONDS = 0.05


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes target, on disk, when the block ends well.

    Raises:
        OutputUnusable: the disk is full, read-only or broken.
    """
    folder = unfinished(target)
    shutil.rmtree(folder, ignore_errors=True)
    with _plain_faults(target):
        folder.mkdir(parents=True)
        yield folder
        for path in sorted(folder.rglob("*"), reverse=True):
            _flush(path)
        _flush(folder)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
        _flush(target.parent)


def unfinished(target: Path) -> Path:
    """Return where a target is while it is being written."""
    return target.with_name(f"{_UNFINISHED}{target.name}")


def write_whole_file(target: Path, content: bytes) -> None:
    """Write a file that is never seen half written.

    Raises:
        OutputUnusable: the disk is full, read-only or broken.
    """
    partial = unfinished(target)
    with _plain_faults(target):
        partial.write_bytes(content)
        _flush(partial)
        partial.replace(target)
        _flush(target.parent)


@contextmanager
def _plain_faults(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise OutputUnusable(f"{target} cannot be written: {reason}") from error
    except Exception as error:
        # torch and safetensors have exceptions of their own for a file that cannot be written.
        is_full = shutil.disk_usage(target.parent).free < _FULL_BYTES
        if not is_full and os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OutputUnusable(f"{target} cannot be written: the disk is full") from error


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_unfinished(directory: Path) -> None:
    """Remove what a killed process left half written."""
    for path in directory.glob(f"{_UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def only_writer(directory: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the directory's lock; the kernel lets go of it when the process dies.

    Raises:
        OutputUnusable: another process still holds it after the wait.
    """
    directory.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with (directory / _LOCK).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"{directory}: another training process writes to this directory"
                    raise OutputUnusable(message) from None
                time.sleep(_LOCK_POLL_SECONDS)
        yield
