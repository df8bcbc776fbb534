"""What the benchmarks of training count, and what they do where there is no GPU."""

import json
from pathlib import Path

import pytest
import torch
from teachwhy.dataset.v1 import example_pb2
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, PreTrainedTokenizerFast

from benchmarks import training
from benchmarks.results import RESULTS
from benchmarks.training import (
    MODEL,
    ROW_TOKENS,
    WORDS,
    asked,
    flops_per_token,
    peak_of,
    utilisation,
)
from benchmarks.trainings import keep, run_script, speed
from pipelines.experiment.model_size import DecoderShape
from pipelines.training.spec import TrainingSpec

PARAMETERS = 1_072_236_544


def test_the_model_has_about_a_billion_parameters() -> None:
    shape = DecoderShape.of({**MODEL, "vocab_size": WORDS})

    assert shape is not None
    assert shape.parameters == PARAMETERS


def test_a_token_costs_six_operations_a_parameter_and_its_share_of_attention() -> None:
    assert flops_per_token() == 6 * PARAMETERS + 6 * 16 * 2048 * ROW_TOKENS


def test_utilisation_is_the_share_of_the_peak_in_percent() -> None:
    at_the_peak = 989e12 / flops_per_token()

    assert utilisation(at_the_peak, 989) == pytest.approx(100)
    assert utilisation(at_the_peak / 4, 989) == pytest.approx(25)


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("Some GPU", None),
    ],
)
def test_the_peak_is_known_by_the_devices_name(device: str, peak: float | None) -> None:
    assert peak_of(device) == peak


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    path = RESULTS / "training.json"
    before = path.read_bytes() if path.exists() else None

    training.main()

    assert "did not run, since there is no GPU here" in capsys.readouterr().out
    assert (path.read_bytes() if path.exists() else None) == before


def test_what_our_program_is_asked_is_a_spec_that_it_takes(tmp_path: Path) -> None:
    spec = TrainingSpec.model_validate_json(json.dumps(asked(tmp_path)))

    assert spec.batch_tokens == 16 * ROW_TOKENS
    assert spec.optimizer.muon_learning_rate is None


def test_speed_is_taken_between_the_first_report_and_the_last() -> None:
    assert speed([(10.0, 100), (11.0, 900), (14.0, 2100)]) == 500


@pytest.mark.parametrize("marks", [[], [(1.0, 5)]])
def test_a_training_that_reported_once_is_not_timed(marks: list[tuple[float, int]]) -> None:
    with pytest.raises(SystemExit, match="too early"):
        speed(marks)


def test_examples_are_kept_in_shards_of_a_published_dataset(tmp_path: Path) -> None:
    examples = [example_pb2.Example(index=i, document="a b", num_tokens=2) for i in range(3)]

    keep(examples, tmp_path / "data")

    assert [path.name for path in (tmp_path / "data").iterdir()] == ["examples-00000.parquet"]


def write_model(folder: Path) -> None:
    """Configuration and tokenizer of a model of a few thousand parameters."""
    words = {word: token for token, word in enumerate(["<pad>", "<unk>", "<end>", *"abcdefghi"])}
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<unk>")),
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
    )
    tokenizer.save_pretrained(folder)
    LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        pad_token_id=0,
        eos_token_id=2,
    ).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["plain_loop", "trl_sft"])
def test_a_loop_of_others_trains_over_all_rows(loop: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    write_model(model)
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([[3 + (i + j) % 9 for j in range(12)] for i in range(40)]))

    found = run_script(
        loop,
        {
            "configuration": str(model),
            "tokenizer": str(model),
            "rows": str(rows),
            "rows_per_step": 4,
            "rows_at_once": 2,
            "device": "cpu",
            "compile": False,
            "warm_steps": 2,
        },
        tmp_path,
    )

    assert found > 0
