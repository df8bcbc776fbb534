"""The losses of the trainings of an experiment, as their programs told them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from pipelines.experiment.places import RunPlaces
from pipelines.experiment.steps import TrainingStep

Curve = list[tuple[int, float]]
"""Pairs of tokens seen and mean loss, in nats per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCurves:
    """Losses by checkpoint, in the order of their names."""

    training: dict[str, Curve] = field(default_factory=dict)
    validation: dict[str, Curve] = field(default_factory=dict)
    """On examples that were held back; only of trainings that hold some back."""


def loss_curves(trainings: Iterable[TrainingStep], places: RunPlaces) -> LossCurves:
    """Read the losses of complete trainings."""
    curves = LossCurves()
    for step in sorted(trainings, key=lambda each: each.checkpoint):
        result = orjson.loads(places.output(step).read("training.json"))
        curves.training[step.checkpoint] = _points(result["loss_curve"])
        if validation := _points(result.get("validation_curve", [])):
            curves.validation[step.checkpoint] = validation
    return curves


def _points(pairs: Iterable[tuple[float, float]]) -> Curve:
    return [(int(tokens), float(loss)) for tokens, loss in pairs]
