"""Experiments laid out without rooms, and clusters of several kinds to run them on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from pipelines.cluster.schedule import Schedule
from pipelines.experiment.bundle import read_bundle
from pipelines.experiment.places import RunPlaces, open_places
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment, GivenBase
from pipelines.experiment.spec_file import load_experiment
from pipelines.experiment.steps import GivenModel, StepGraph
from tests.experiment.test_hosted_models import graph_of

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
TEMPLATE = (EXAMPLES / "microworld.chat_template.jinja").read_text(encoding="utf-8")
GIVEN_DIGEST = "0123456789abcdef" * 4


def example(name: str, **changes: Any) -> LoadedExperiment:
    """A shipped experiment with other values of some sections, on seed 0."""
    shipped = load_experiment(EXAMPLES / f"{name}.yaml").model_dump(mode="json")
    experiment = Experiment.model_validate({**shipped, "seeds": [0], **changes})
    is_given = experiment.base is None or isinstance(experiment.base, GivenBase)
    return LoadedExperiment(experiment=experiment, chat_template="" if is_given else TEMPLATE)


def laid_out(loaded: LoadedExperiment) -> StepGraph:
    """The steps of an experiment."""
    given = None
    if isinstance(loaded.experiment.base, GivenBase):
        given = GivenModel(checkpoint=loaded.experiment.base.checkpoint, digest=GIVEN_DIGEST)
    return graph_of(loaded.experiment, given=given, chat_template=loaded.chat_template)


def places_in(folder: Path) -> RunPlaces:
    """An empty store."""
    return open_places(PipelinesSettings(runs_folder=folder))


def cluster(name: str = "cluster", **sections: dict[str, Any]) -> ClusterProfile:
    """A shipped profile with other values in some of its sections."""
    shipped = read_profile(EXAMPLES / f"{name}.yaml").model_dump(mode="json")
    merged = {key: {**(shipped[key] or {}), **values} for key, values in sections.items()}
    return ClusterProfile.model_validate({**shipped, **merged})


def nightly(name: str, profile: str = "cluster") -> Schedule:
    """The shipped experiment measured every night."""
    path = EXAMPLES / f"{name}.yaml"
    return Schedule(
        experiment=load_experiment(path).name,
        bundle=read_bundle(path),
        cluster=(EXAMPLES / f"{profile}.yaml").read_text(encoding="utf-8"),
        at="0 2 * * *",
    )
