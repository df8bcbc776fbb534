"""GPU hours and dollars of a plan follow from counts that anybody can check by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.experiment.compute_cost import (
    TURNS,
    TrainedSize,
    compute_costs,
    most_generated,
    total,
    training_gpu_hours,
)
from pipelines.experiment.model_size import DecoderShape, parameters_of_files
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.experiment.spec_file import load_experiment
from tests.experiment.test_hosted_models import graph_of

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
QWEN3_8B = {
    "model_type": "qwen3",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
QWEN3_8B_PARAMETERS = 8_190_735_360
LLAMA_3_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
LLAMA_3_8B_PARAMETERS = 8_030_261_248


@dataclass(frozen=True)
class Rates:
    """An H100 at a round price."""

    usd_per_gpu_hour: float = 2.0
    gpu_teraflops: float = 1000.0
    training_utilisation: float = 0.4
    generated_tokens_per_gpu_second: float = 1000.0


def shape(configuration: dict[str, object]) -> DecoderShape:
    found = DecoderShape.of(configuration)
    assert found is not None
    return found


# The model.


@pytest.mark.parametrize(
    ("configuration", "published"),
    [(QWEN3_8B, QWEN3_8B_PARAMETERS), (LLAMA_3_8B, LLAMA_3_8B_PARAMETERS)],
    ids=["qwen3-8b", "llama-3-8b"],
)
def test_parameters_are_counted_as_published(
    configuration: dict[str, object], published: int
) -> None:
    assert shape(configuration).parameters == pytest.approx(published, rel=1e-5)


def test_tied_embeddings_count_once() -> None:
    tied = shape({**QWEN3_8B, "tie_word_embeddings": True})

    assert shape(QWEN3_8B).parameters - tied.parameters == 151936 * 4096


def test_a_pair_of_low_rank_matrices_has_rank_times_both_widths() -> None:
    model = shape(LLAMA_3_8B)

    assert model.adapters(64, targets=frozenset({"q_proj"})) == 32 * 64 * (4096 + 4096)
    assert model.adapters(64) == 167_772_160


@pytest.mark.parametrize(
    "configuration",
    [{}, {"model_type": "gpt2", "n_embd": 768}, {**LLAMA_3_8B, "num_local_experts": 8}],
    ids=["empty", "another-kind", "experts"],
)
def test_another_kind_of_model_is_not_guessed_at(configuration: dict[str, object]) -> None:
    assert DecoderShape.of(configuration) is None


def test_files_of_weights_say_how_many_there_are() -> None:
    assert parameters_of_files(QWEN3_8B, 2 * QWEN3_8B_PARAMETERS) == QWEN3_8B_PARAMETERS
    assert parameters_of_files({"dtype": "float32"}, 400) == 100
    assert parameters_of_files({"dtype": "float8"}, 400) is None
    assert parameters_of_files({}, 400) is None


# Training.


def test_every_parameter_costs_six_operations_a_token() -> None:
    assert TrainedSize(parameters=8 * 10**9).flops_per_token == 48 * 10**9


def test_frozen_weights_cost_four_and_adapters_six() -> None:
    size = TrainedSize(parameters=8 * 10**9, adapters=10**8)

    assert size.flops_per_token == 32 * 10**9 + 6 * 10**8


def test_an_hour_is_what_a_gpu_computes_in_it_at_the_share_of_its_peak() -> None:
    in_an_hour = 1000e12 * 0.4 * 3600

    assert training_gpu_hours(in_an_hour, Rates()) == pytest.approx(1.0)
    assert training_gpu_hours(None, Rates()) is None


def test_three_million_tokens_of_an_8b_model_take_a_tenth_of_a_gpu_hour() -> None:
    flops = TrainedSize(parameters=QWEN3_8B_PARAMETERS).flops_per_token * 3 * 10**6

    hours = training_gpu_hours(flops, Rates())

    assert hours == pytest.approx(0.1024, rel=1e-3)


# Playing.


def test_an_episode_generates_at_most_all_its_turns_or_its_limit() -> None:
    experiment = load_experiment(EXAMPLES / "microworld.yaml")
    step = graph_of(experiment).evaluations[0]

    def most(**limits: int) -> float:
        evaluation = Evaluation(suites=["a"], max_output_tokens=500, **limits)
        return most_generated(step, evaluation) / step.episodes

    assert most() == TURNS * 500
    assert most(max_turns=12) == 6000
    assert most(max_turns=12, max_episode_tokens=4000) == 4000


# The plan.


def test_every_step_that_is_not_complete_is_counted_once() -> None:
    experiment = load_experiment(EXAMPLES / "microworld.yaml")
    graph = graph_of(experiment)
    size = TrainedSize(parameters=10**6)
    done = {graph.trainings[0].digest, graph.evaluations[0].digest}

    costs = compute_costs(
        graph, done, Rates(), pretrained=size, fine_tuned=size, evaluation=experiment.evaluation
    )

    steps = [*graph.trainings[1:], *graph.evaluations[1:]]
    assert [cost.step for cost in costs] == steps
    assert [cost.is_most for cost in costs] == [step in graph.evaluations for step in steps]
    for cost in costs:
        assert cost.gpu_hours is not None
        assert cost.usd == pytest.approx(2 * cost.gpu_hours)
    found = total(costs)
    assert found is not None
    assert found[1] == pytest.approx(math.fsum(cost.usd or 0 for cost in costs))


def test_a_model_of_unknown_size_leaves_its_trainings_and_the_total_open() -> None:
    experiment = load_experiment(EXAMPLES / "microworld.yaml")
    costs = compute_costs(
        graph_of(experiment),
        (),
        Rates(),
        pretrained=TrainedSize(parameters=10**6),
        fine_tuned=None,
        evaluation=experiment.evaluation,
    )

    is_known = [cost.gpu_hours is not None for cost in costs]
    starts = [getattr(cost.step, "start", None) is None for cost in costs]
    assert is_known == starts
    assert total(costs) is None


def test_what_somebody_else_hosts_costs_no_gpu_hours_of_ours() -> None:
    experiment = load_experiment(EXAMPLES / "hosted-models.yaml")

    costs = compute_costs(
        graph_of(experiment),
        (),
        Rates(),
        pretrained=None,
        fine_tuned=None,
        evaluation=experiment.evaluation,
    )

    assert costs == []
    assert total(costs) == (0, 0)
