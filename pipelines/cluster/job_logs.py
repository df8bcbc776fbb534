"""What the pods of a job say: progress as it comes, and the last lines for a failure message."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.job_state import Body, meta, phase
from pipelines.cluster.training_job import CONTAINER
from pipelines.experiment.launcher import TrainingProgress
from pipelines.experiment.training_events import training_progress

LAST_WORDS = 12
"""Lines that a failure message quotes."""


class JobLogs:
    """Follows pods from their start; an asynchronous context manager that stops following."""

    def __init__(self, api: KubernetesApi, report: Callable[[TrainingProgress], None]) -> None:
        """Hand progress to ``report``."""
        self._api = api
        self._report = report
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._progress = TrainingProgress(tokens=0, loss=0.0, tokens_per_second=0.0)

    async def __aenter__(self) -> Self:
        """Follow nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop following."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @property
    def last_words(self) -> list[str]:
        """Last lines that were no progress."""
        return list(self._last_words)

    @property
    def is_waiting(self) -> bool:
        """Whether the last report was of something that is waited for."""
        return self._progress.state != ""

    def wait_for(self, state: str) -> None:
        """Report what is waited for, unless that was the last report; progress ends it."""
        if self._progress.state != state:
            self._progress = replace(self._progress, state=state)
            self._report(self._progress)

    def follow(self, pods: Sequence[Body]) -> None:
        """Follow these pods, if they have begun and are not followed yet.

        Raises:
            ClusterFault: a log cannot be read.
        """
        for pod in pods:
            uid = str(meta(pod)["uid"])
            if uid not in self._tasks and phase(pod) != "Pending":
                name = str(meta(pod)["name"])
                self._tasks[uid] = asyncio.create_task(self._read(name, uid))
        for task in self._tasks.values():
            if task.done() and (error := task.exception()) is not None:
                raise error

    async def finish(self, seconds: float) -> None:
        """Wait until everything was read of pods that are over, but not for ever."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)

    async def _read(self, name: str, uid: str) -> None:
        async for line in self._api.follow_logs(name, uid=uid, container=CONTAINER):
            progress = training_progress(line)
            if progress is not None:
                self._progress = progress
                self._report(progress)
            elif text := line.rstrip():
                self._last_words.append(text)
