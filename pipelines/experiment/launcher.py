"""The launcher port: where training orders are carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipelines.jobs.order import TrainingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a job is."""

    tokens: int
    """Tokens trained so far."""
    loss: float
    """Mean loss since the last report, in nats per token."""
    tokens_per_second: float
    state: str = ""
    """What is waited for, in a few words; empty while it trains."""


class TrainingFailed(Exception):
    """A training did not come to its end. The message says which, what happened, what to do."""


class TrainingLauncher(Protocol):
    """Carries out training orders."""

    async def train(self, order: TrainingOrder, report: Callable[[TrainingProgress], None]) -> None:
        """Carry ``order`` out; its output is complete in the store when this returns.

        An order that was begun before, by this or another process, goes on where it was.
        Cancelling stops the work and keeps what is needed to go on.

        Raises:
            TrainingFailed: it did not come to its end.
        """
