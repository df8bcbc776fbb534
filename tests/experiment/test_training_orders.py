"""An order fills its budget from data whose tokens somebody else counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.experiment.places import open_places
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_file import load_experiment
from pipelines.experiment.steps import GivenModel
from pipelines.experiment.train import training_order
from pipelines.training.spec import TrainingSpec
from tests.experiment.test_hosted_models import graph_of

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"


def epochs(name: str, folder: Path, **changes: Any) -> set[float]:
    """How often examples may be used in the last training of a shipped experiment."""
    shipped = load_experiment(EXAMPLES / f"{name}.yaml").model_dump(mode="json")
    experiment = Experiment.model_validate({**shipped, "promotion": None, **changes})
    assert experiment.loop is not None
    graph = graph_of(experiment, given=GivenModel(checkpoint="qwen3-8b", digest="d" * 64))
    order = training_order(
        graph.trainings[-1],
        loop=experiment.loop,
        chat_template="T",
        place=open_places(PipelinesSettings(runs_folder=folder)).place,
    )
    spec = TrainingSpec.model_validate(order.model_dump(mode="json")["spec"])
    return {source.max_epochs for source in spec.mixture}


def test_data_that_the_models_own_words_were_counted_in_are_used_once(tmp_path: Path) -> None:
    assert epochs("microworld", tmp_path) == {1.0}


def test_what_is_held_back_is_made_up_for(tmp_path: Path) -> None:
    assert epochs("microworld", tmp_path, fine_tuning={"validation_share": 0.1}) == {1.5}


@pytest.mark.parametrize("name", ["gpu-8b", "gpu-8b-lora"])
def test_a_given_model_counts_tokens_of_its_own(name: str, tmp_path: Path) -> None:
    assert epochs(name, tmp_path) == {1.5}
