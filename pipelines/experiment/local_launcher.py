"""Carries training orders out as subprocesses of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from pipelines.experiment.launcher import TrainingFailed, TrainingProgress
from pipelines.experiment.settings import inherited_environment
from pipelines.experiment.training_events import training_progress
from pipelines.jobs.order import TrainingOrder
from pipelines.jobs.workplace import RESULT, SPEC, prepare, publish
from services.servicekit.storage.port import ObjectStore

LAST_WORDS = 12
"""Lines of the program's output that a failure message quotes."""


class LocalLauncher:
    """A launcher whose jobs are child processes that die with this process.

    A job's folder outlives a killed run, so that training resumes from its last checkpoint; it
    goes when the output is published.
    """

    def __init__(self, store: ObjectStore, folder_of: Callable[[str], Path]) -> None:
        """Fetch from and publish to ``store``; work in the folder of an order's digest."""
        self._store = store
        self._folder_of = folder_of

    async def train(self, order: TrainingOrder, report: Callable[[TrainingProgress], None]) -> None:
        """Carry the order out here."""
        folder = self._folder_of(order.digest)
        await asyncio.to_thread(prepare, order, self._store, folder)
        await _run(order.name, folder, report)
        await asyncio.to_thread(publish, order, self._store, folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _run(name: str, folder: Path, report: Callable[[TrainingProgress], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # what lies in the job's folder is data, never code
        "-m",
        "pipelines.training",
        SPEC,
        "--output",
        RESULT,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**inherited_environment(), "TRAINING_PARENT_PID": str(os.getpid())},
    )
    last_words: deque[str] = deque(maxlen=LAST_WORDS)
    try:
        assert process.stdout is not None, "stdout is a pipe"
        async for line in process.stdout:
            progress = training_progress(line)
            if progress is not None:
                report(progress)
            elif text := line.decode(errors="replace").rstrip():
                last_words.append(text)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if code != 0:
        said = "\n  ".join(last_words) or "(nothing)"
        raise TrainingFailed(
            f"training {name} ended with exit status {code}; it said last:\n  {said}"
        )
