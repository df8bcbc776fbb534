"""The model that an experiment is given instead of training it."""

from __future__ import annotations

from pipelines.experiment.places import RunPlaces
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.spec import Experiment, GivenBase
from pipelines.experiment.steps import GivenModel


def given_model(experiment: Experiment, places: RunPlaces) -> GivenModel | None:
    """Look the given base up in the store; None where the experiment trains its own."""
    if not isinstance(experiment.base, GivenBase):
        return None
    name = experiment.base.checkpoint
    output = places.checkpoint(name)
    digest = output.manifest().digest if output.is_complete() else ""
    return GivenModel(checkpoint=name, digest=digest)


def check_given(given: GivenModel | None) -> None:
    """Check that a given model can be started from.

    Raises:
        ExperimentImpossible: it is not in the store.
    """
    if given is not None and not given.digest:
        raise ExperimentImpossible(
            f"base.checkpoint: the store holds no checkpoint {given.checkpoint!r}; "
            f"`python -m pipelines import-model {given.checkpoint} FOLDER` puts one there"
        )
