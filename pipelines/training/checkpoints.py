"""Checkpoints of a training that is under way. Knows their completeness, not their content."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.training.distributed import ALONE, Group
from pipelines.training.files import unfinished, whole_folder

_MARKER = "complete.json"
_PREFIX = "checkpoint-"
_KEPT = 2


@contextmanager
def new_checkpoint(directory: Path, step: int, group: Group = ALONE) -> Iterator[Path]:
    """Yield a folder that becomes checkpoint-<step> completely or not at all.

    All processes of the group write into it; process 0 makes it, and marks it when all are done.
    The marker holds the digest of every file: a rename alone does not prove, after a power cut or
    on a network file system, that the bytes arrived. The newest two checkpoints are kept.
    """
    target = directory / f"{_PREFIX}{step}"
    if group.is_main:
        with group.together(), whole_folder(target) as folder:
            group.collect(None)
            yield folder
            (folder / _MARKER).write_text(json.dumps(_digests(folder)) + "\n")
        for _, folder in _folders(directory)[_KEPT:]:
            shutil.rmtree(folder)
        return
    with group.together():
        group.collect(None)
        yield unfinished(target)


def newest_checkpoint(directory: Path) -> tuple[Path | None, list[str]]:
    """Return the newest complete checkpoint, and why each newer one was passed over."""
    passed_over: list[str] = []
    for _, folder in _folders(directory):
        problem = _problem(folder)
        if problem is None:
            return folder, passed_over
        passed_over.append(f"{folder.name}: {problem}")
    return None, passed_over


def remove_checkpoints(directory: Path) -> None:
    """Remove all checkpoints of a training that is done."""
    for _, folder in _folders(directory):
        shutil.rmtree(folder)


def _folders(directory: Path) -> list[tuple[int, Path]]:
    """Steps and folders, the newest first."""
    numbered = [
        (int(folder.name.removeprefix(_PREFIX)), folder)
        for folder in directory.glob(f"{_PREFIX}*")
        if folder.name.removeprefix(_PREFIX).isdigit()
    ]
    return sorted(numbered, reverse=True)


def _digests(folder: Path) -> dict[str, str]:
    marker = folder / _MARKER
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != marker)
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(folder: Path) -> str | None:
    try:
        if json.loads((folder / _MARKER).read_bytes()) != _digests(folder):
            return "its files are not those that its marker names"
    except (OSError, ValueError) as error:
        return f"incomplete ({error})"
    return None
