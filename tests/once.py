"""What is costly and only read is made once for all test processes of a session."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Path:
    """Return the folder ``name``; the first process that asks fills it while the others wait."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    marker = base / f"{name}.made"
    with (base / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            # Where the process before failed half way, this one says why as well.
            folder = tmp_path_factory.mktemp(name)
            make(folder)
            marker.write_text(str(folder), encoding="utf-8")
    return Path(marker.read_text(encoding="utf-8"))
