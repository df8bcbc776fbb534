"""What the training program says on its output, one JSON object a line, as progress."""

from __future__ import annotations

from pipelines.experiment.launcher import TrainingProgress
from pipelines.jobs.events import event_of


def training_progress(line: bytes | str) -> TrainingProgress | None:
    """Read a line; None if it reports no progress."""
    event = event_of(line, "training.progress")
    if event is None:
        return None
    return TrainingProgress(
        tokens=int(event["tokens"]),
        loss=float(event["loss"]),
        tokens_per_second=float(event["tokens_per_second"]),
    )
