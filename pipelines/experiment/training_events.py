"""What the training program says on its output, one JSON object a line, as progress."""

from __future__ import annotations

import orjson

from pipelines.experiment.launcher import TrainingProgress


def training_progress(line: bytes | str) -> TrainingProgress | None:
    """Read a line; None if it reports no progress."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict) or event.get("event") != "training.progress":
        return None
    return TrainingProgress(
        tokens=int(event["tokens"]),
        loss=float(event["loss"]),
        tokens_per_second=float(event["tokens_per_second"]),
    )
