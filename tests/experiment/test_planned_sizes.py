"""A plan has the size of a model from the store, else from the file, else says it does not know."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from pipelines.experiment.compute_cost import TrainedSize
from pipelines.experiment.compute_table import print_compute
from pipelines.experiment.dataset_requests import DatasetRequests
from pipelines.experiment.places import RunPlaces, open_places
from pipelines.experiment.planned_datasets import PlannedDatasets
from pipelines.experiment.planned_sizes import fine_tuned_size, pretrained_size
from pipelines.experiment.runner import Planned
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Base, Experiment, Loop
from pipelines.experiment.spec_file import load_experiment
from pipelines.experiment.steps import GivenModel, JudgeRevisions
from tests.experiment.test_compute_cost import LLAMA_3_8B, Rates
from tests.experiment.test_hosted_models import graph_of

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
STORED = {**LLAMA_3_8B, "torch_dtype": "bfloat16"}
LORA = {"device": "cuda", "adapter": {"kind": "lora", "rank": 64}}


@pytest.fixture
def places(tmp_path: Path) -> RunPlaces:
    return open_places(PipelinesSettings(runs_folder=tmp_path))


def example(name: str, **changes: Any) -> Experiment:
    shipped = load_experiment(EXAMPLES / f"{name}.yaml").model_dump(mode="json")
    return Experiment.model_validate({**shipped, **changes})


def loop_of(experiment: Experiment) -> Loop:
    assert experiment.loop is not None
    return experiment.loop


def given(**base: Any) -> Loop:
    return loop_of(example("gpu-8b", base={"checkpoint": "mine", **base}))


def put(places: RunPlaces, configuration: dict[str, object], **weights: int) -> None:
    """Put a model with weights of these sizes into the store."""
    files = {f"{name}.safetensors": bytes(size) for name, size in weights.items()}
    places.checkpoint("mine").publish(
        kind="checkpoint",
        digest="d",
        parameters={},
        inputs={},
        counts={},
        files={**files, "config.json": orjson.dumps(configuration), "tokenizer.json": b"{}"},
    )


def test_a_given_model_is_as_large_as_its_weights_in_the_store(places: RunPlaces) -> None:
    put(places, STORED, first=600, second=400)

    assert fine_tuned_size(given(parameters=7), places) == TrainedSize(parameters=500)


def test_before_it_is_in_the_store_the_file_says_it(places: RunPlaces) -> None:
    assert fine_tuned_size(given(parameters=7), places) == TrainedSize(parameters=7)


def test_without_both_it_is_not_known(places: RunPlaces) -> None:
    assert fine_tuned_size(given(), places) is None


def test_weights_of_a_type_that_is_not_said_leave_it_to_the_file(places: RunPlaces) -> None:
    put(places, LLAMA_3_8B, only=1000)

    assert fine_tuned_size(given(parameters=7), places) == TrainedSize(parameters=7)


def test_adapters_are_counted_where_the_shape_is_known(places: RunPlaces) -> None:
    loop = loop_of(example("gpu-8b-lora", base={"checkpoint": "mine", "parameters": 7}))
    before = fine_tuned_size(loop, places)
    put(places, STORED, only=1000)

    assert before == TrainedSize(parameters=7, adapters=0)
    assert fine_tuned_size(loop, places) == TrainedSize(parameters=500, adapters=167_772_160)


def test_adapters_of_some_layers_are_fewer(places: RunPlaces) -> None:
    fine_tuning = {**LORA, "adapter": {**LORA["adapter"], "targets": ["q_proj"]}}  # type: ignore[dict-item]
    loop = loop_of(example("gpu-8b-lora", fine_tuning=fine_tuning, base={"checkpoint": "mine"}))
    put(places, STORED, only=1000)

    size = fine_tuned_size(loop, places)

    assert size is not None
    assert size.adapters == 32 * 64 * (4096 + 4096)


def test_a_base_from_configuration_is_as_large_as_its_layers(places: RunPlaces) -> None:
    loop = loop_of(example("microworld"))
    assert isinstance(loop.base, Base)

    layer = 4 * 128 * 128 + 3 * 128 * 336 + 2 * 128
    assert pretrained_size(loop.base) == TrainedSize(parameters=3 * layer + 128)
    assert fine_tuned_size(loop, places) == pretrained_size(loop.base)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (8 * 10**9, "training ~ "),
        (None, "the size of the base is not known: import it, or set base.parameters"),
    ],
)
def test_the_table_says_what_it_knows(parameters: int | None, says: str, places: RunPlaces) -> None:
    experiment = example("gpu-8b", base={"checkpoint": "mine", "parameters": parameters})
    model = GivenModel(checkpoint="mine", digest="")
    planned = Planned(
        graph=graph_of(experiment, given=model),
        datasets=PlannedDatasets(requests=DatasetRequests(recipes={})),
        complete=frozenset(),
        judges=JudgeRevisions(),
        given=model,
    )
    console = Console(width=200, record=True, file=io.StringIO())

    print_compute(planned, experiment, Rates(), console, places=places)

    told = console.export_text()
    assert says in told
    assert ("? GPU hours" in told) is (parameters is None)
