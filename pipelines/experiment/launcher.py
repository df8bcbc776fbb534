"""The launcher port: how the training program is run, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One run of the training program."""

    name: str
    """Name for logs; unique in an experiment."""
    spec: Mapping[str, object]
    """A ``pipelines.training.spec.TrainingSpec`` as plain data."""
    folder: Path
    """Folder of this job alone. Running a job again in it resumes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a job is."""

    tokens: int
    """Tokens trained so far."""
    loss: float
    """Mean loss since the last report, in nats per token."""
    tokens_per_second: float


class TrainingFailed(Exception):
    """The training program ended with an error. The message holds its last words."""


class TrainingLauncher(Protocol):
    """Runs training jobs."""

    async def train(self, job: TrainingJob, report: Callable[[TrainingProgress], None]) -> Path:
        """Run ``job`` to its end and return the folder with ``model/`` and ``result.json``.

        Raises:
            TrainingFailed: the program failed.
        """
