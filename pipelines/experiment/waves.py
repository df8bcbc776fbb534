"""The steps that are still to be done, in waves that may each be done at once.

Pure. It is how something else than the scheduler here, such as a pipeline of containers, learns
what to do in which order.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from pipelines.experiment.play import num_shards
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.experiment.steps import EvaluationStep, StepGraph, TrainingStep

MOST_PARTS = 64
"""Most parts that an evaluation is shared out into."""


class Measurement(BaseModel):
    """A checkpoint or a hosted model to be measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    training: str = ""
    """Digest of the training before it, where that belongs to the same wave."""
    evaluation: str
    """Digest of the evaluation."""
    shards: tuple[str, ...] = ()
    """Ranges "first:end" of its shards that may be played at once before it; empty where the
    evaluation plays its episodes itself."""


class Waves(BaseModel):
    """Digests of the steps that are not complete; a wave needs only those before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    contrasts: tuple[str, ...]
    """Datasets that gates of other datasets look at."""
    datasets: tuple[str, ...]
    bases: tuple[str, ...]
    """Trainings from nothing."""
    arms: tuple[Measurement, ...]
    """Trainings from a base, each with its evaluation."""
    others: tuple[Measurement, ...]
    """Evaluations of bases and of hosted models; they need ``bases`` and not ``arms``."""
    calibrations: tuple[str, ...]
    """What needs nothing but the judge room."""
    judgings: tuple[str, ...]
    """What the panel says of all evaluations."""


def waves_of(
    graph: StepGraph, complete: Collection[str], *, settings: Evaluation | None, parts: int
) -> Waves:
    """Sort the steps of ``graph`` that are not in ``complete``.

    Args:
        graph: all steps.
        complete: digests of those whose outputs are there.
        settings: how models are measured; None where nothing is.
        parts: most parts that an evaluation is shared out into.
    """
    before = {each.digest for step in graph.datasets for each in step.contrast}
    is_shared = settings is not None and settings.stop_at_interval_width is None
    arms: list[Measurement] = []
    others: list[Measurement] = []
    # Two names for one hosted model are one evaluation.
    for step in {each.digest: each for each in graph.evaluations}.values():
        subject = step.subject
        is_arm = isinstance(subject, TrainingStep) and subject.start is not None
        measurement = Measurement(
            training=subject.digest if is_arm and isinstance(subject, TrainingStep) else "",
            evaluation=step.digest,
            shards=_ranges(step, parts) if is_shared and step.digest not in complete else (),
        )
        if not {measurement.evaluation, measurement.training} - {"", *complete}:
            continue
        (arms if is_arm else others).append(measurement)

    def due(digests: Collection[str]) -> tuple[str, ...]:
        return tuple(digest for digest in dict.fromkeys(digests) if digest not in complete)

    return Waves(
        contrasts=due([each.digest for each in graph.datasets if each.digest in before]),
        datasets=due([each.digest for each in graph.datasets if each.digest not in before]),
        bases=due([each.digest for each in graph.trainings if each.start is None]),
        arms=tuple(arms),
        others=tuple(others),
        calibrations=due([graph.calibration.digest] if graph.calibration else []),
        judgings=due([each.digest for each in graph.judgings]),
    )


def _ranges(step: EvaluationStep, parts: int) -> tuple[str, ...]:
    """Share the shards out evenly; a single part is the evaluation itself."""
    total = num_shards(step)
    count = min(parts, total)
    edges = [total * i // count for i in range(count + 1)] if count > 1 else []
    return tuple(f"{first}:{end}" for first, end in pairwise(edges))
