"""How large the models of an experiment are, as far as a plan can know."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from pipelines.experiment.compute_cost import TrainedSize
from pipelines.experiment.model_size import DecoderShape, parameters_of_files
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.spec import Base, GivenBase, Loop
from pipelines.training.spec import Adapter

WEIGHTS = ".safetensors"
CONFIGURATION = "config.json"


def pretrained_size(base: Base) -> TrainedSize | None:
    """Size of a base while it is trained; embeddings of a vocabulary yet to be fitted left out."""
    shape = DecoderShape.of(base.model)
    return TrainedSize(parameters=shape.parameters) if shape else None


def fine_tuned_size(loop: Loop, places: RunPlaces) -> TrainedSize | None:
    """Size of the model that arms train; None where neither store nor file tell.

    The adapters of a model that is not in the store are left out: some percent of its costs.
    """
    if isinstance(loop.base, Base):
        configuration: Mapping[str, object] = loop.base.model
        shape = DecoderShape.of(configuration)
        parameters = shape.parameters if shape else None
    else:
        configuration, parameters = _given(loop.base, places)
        shape = DecoderShape.of(configuration)
    if parameters is None:
        return None
    adapter = loop.fine_tuning.adapter
    return TrainedSize(
        parameters=parameters, adapters=_adapters(adapter, shape) if adapter else None
    )


def _given(base: GivenBase, places: RunPlaces) -> tuple[Mapping[str, object], int | None]:
    """Configuration and parameters of a given model."""
    output = places.checkpoint(base.checkpoint)
    if not output.is_complete():
        return {}, base.parameters
    files = output.manifest().files
    configuration = orjson.loads(output.read(CONFIGURATION)) if CONFIGURATION in files else {}
    size = sum(entry.bytes for name, entry in files.items() if name.endswith(WEIGHTS))
    return configuration, parameters_of_files(configuration, size) or base.parameters


def _adapters(adapter: Adapter, shape: DecoderShape | None) -> int:
    if shape is None:
        return 0
    targets = frozenset() if adapter.targets == "all-linear" else frozenset(adapter.targets)
    return shape.adapters(adapter.rank, targets=targets)
