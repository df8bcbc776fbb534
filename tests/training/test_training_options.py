"""Options that change how a model is trained or what is said about it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from prometheus_client import REGISTRY
from safetensors.torch import load_file

from pipelines.training.distributed import Group
from pipelines.training.errors import OutputUnusable, StartUnusable
from pipelines.training.material import prepare_material
from pipelines.training.shares import divide
from pipelines.training.spec import TrainingSpec
from pipelines.training.tokenization import open_tokenizer
from tests.training.conftest import Train
from tests.training.shard_files import dilemmas, rhymes, small_spec, write_shards


def _spec(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    data = tmp_path / "data"
    if not data.exists():
        write_shards(data, [*rhymes(150), *dilemmas(60)])
    return small_spec(data, 2000, **{"log_every_steps": 1, **changes})


def _result(output: Path) -> Any:
    return json.loads((output / "result.json").read_bytes())


def _weights(output: Path) -> bytes:
    return (output / "model" / "model.safetensors").read_bytes()


def test_activations_that_are_computed_twice_change_nothing(
    tmp_path: Path, train_here: Train
) -> None:
    train_here(_spec(tmp_path), tmp_path / "kept")
    train_here(_spec(tmp_path, gradient_checkpointing=True), tmp_path / "twice")

    assert _weights(tmp_path / "kept") == _weights(tmp_path / "twice")


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_layers_are_compiled_when_asked_for(tmp_path: Path, train_here: Train) -> None:
    train_here(_spec(tmp_path), tmp_path / "plain")
    # A compiler takes a minute; this runs what it would compile.
    with torch.compiler.set_stance("force_eager"):
        train_here(_spec(tmp_path, compile=True), tmp_path / "compiled")

    assert _weights(tmp_path / "plain") == _weights(tmp_path / "compiled")


def test_weights_are_saved_in_the_type_that_is_asked_for(tmp_path: Path, train_here: Train) -> None:
    train_here(_spec(tmp_path), tmp_path / "full")
    train_here(_spec(tmp_path, save_dtype="bfloat16"), tmp_path / "half")

    full, half = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("full", "half")
    )
    assert all(torch.equal(full[name].bfloat16(), half[name]) for name in full)
    config = json.loads((tmp_path / "half" / "model" / "config.json").read_bytes())
    assert config["dtype"] == "bfloat16"


def test_the_loss_on_held_back_examples_is_measured_on_the_way_and_at_the_end(
    tmp_path: Path, train_here: Train
) -> None:
    settings = {"validation_share": 0.2, "validate_every_tokens": 700}

    events = train_here(_spec(tmp_path, **settings), tmp_path / "out")

    result = _result(tmp_path / "out")
    tokens, losses = zip(*result["validation_curve"], strict=True)
    said = [each for each in events if each["event"] == "training.validation"]
    assert [at // 700 for at in tokens[:-1]] == [1, 2]
    assert tokens[-1] == result["tokens"]
    assert losses[-1] < losses[0]
    assert [(each["tokens"], each["loss"]) for each in said] == list(
        zip(tokens, losses, strict=True)
    )
    assert REGISTRY.get_sample_value("teachwhy_training_validation_loss") == losses[-1]


def test_measuring_a_loss_does_not_change_the_training(tmp_path: Path, train_here: Train) -> None:
    spec = _spec(tmp_path, validation_share=0.2)
    train_here(spec, tmp_path / "once")
    train_here({**spec, "validate_every_tokens": 300}, tmp_path / "often")

    assert _weights(tmp_path / "once") == _weights(tmp_path / "often")


def test_a_moved_folder_is_trained_on(
    tmp_path: Path, train_here: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = _spec(tmp_path)
    train_here(spec, tmp_path / "out", lambda: True)
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "data", moved / "data")
    shutil.move(tmp_path / "out", moved / "out")
    monkeypatch.chdir(moved)
    spec["mixture"][0]["data"] = spec["start"]["tokenizer"]["fit_on"][0] = "data"

    events = train_here(spec, Path("out"))

    assert "training.resumed" in [each["event"] for each in events]


def test_another_vocabulary_is_another_training(tmp_path: Path, train_here: Train) -> None:
    spec = _spec(tmp_path)
    train_here(spec, tmp_path / "out", lambda: True)
    # A word that comes last leaves every token of the data as it was.
    spec["start"]["tokenizer"]["fit_on"].append(
        str(write_shards(tmp_path / "more", [{"form": "document", "text": "zzz"}]))
    )

    with pytest.raises(OutputUnusable, match="of another spec or of other data"):
        train_here(spec, tmp_path / "out")


def test_the_output_says_what_it_was_made_from(tmp_path: Path, train_here: Train) -> None:
    spec = _spec(tmp_path, save_dtype="bfloat16")
    spec["mixture"][0]["revision"] = "0f3a"
    (tmp_path / "data" / "manifest.json").write_text('{"digest": "77c1"}')

    train_here(spec, tmp_path / "out")

    model = tmp_path / "out" / "model"
    facts, result = json.loads((model / "training.json").read_bytes()), _result(tmp_path / "out")
    card = (model / "README.md").read_text()
    assert facts.items() <= result.items()
    assert facts["sources"]["all"]["revision"] == "0f3a"
    assert facts["sources"]["all"]["manifest_digest"] == "77c1"
    assert facts["settings"]["save_dtype"] == "bfloat16"
    assert f"| all | 0f3a | {facts['tokens']} |" in card
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert str(tmp_path) not in card + (model / "training.json").read_text()
    assert (result["processes"], result["peak_gpu_memory_bytes"]) == (1, None)


def test_steps_are_measured(tmp_path: Path, train_here: Train) -> None:
    before = REGISTRY.get_sample_value("teachwhy_training_step_seconds_count") or 0.0

    train_here(_spec(tmp_path), tmp_path / "out")

    steps = REGISTRY.get_sample_value("teachwhy_training_step_seconds_count") or 0.0
    assert steps - before == _result(tmp_path / "out")["steps"]
    assert (REGISTRY.get_sample_value("teachwhy_training_gradient_norm") or 0.0) > 0
    for optimizer, peak in (("muon", 0.02), ("adam", 0.005)):
        rate = REGISTRY.get_sample_value(
            "teachwhy_training_learning_rate", {"optimizer": optimizer}
        )
        assert rate == pytest.approx(0.05 * peak)


def test_flash_attention_without_its_package_is_refused(tmp_path: Path, train_here: Train) -> None:
    with pytest.raises(StartUnusable, match=r"needs a GPU and the package flash-attn; use"):
        train_here(_spec(tmp_path, attention="flash_attention_2"), tmp_path / "out")


@pytest.mark.parametrize("packing", ["none", "all"])
def test_targets_are_counted_without_putting_the_batch_together(
    tmp_path: Path, packing: str
) -> None:
    raw = _spec(tmp_path, packing=packing, attention="sdpa")
    spec = TrainingSpec.model_validate_json(json.dumps(raw))
    material = prepare_material(spec, open_tokenizer(spec.start), 64)

    for at in range(len(material.plan)):
        assert material.num_targets(at) == int((material.batch(at).targets >= 0).sum())


@pytest.mark.parametrize(
    ("widths", "processes", "tokens", "expected"),
    [
        ([9, 5, 7], 1, None, [[[0, 1, 2]]]),
        ([9, 5, 7], 2, None, [[[1, 0]], [[2]]]),
        ([9], 2, None, [[[0]], [[]]]),
        ([9, 9, 9, 9, 9], 2, 16, [[[0, 2], [4]], [[1, 3], []]]),
        ([33, 3], 1, 8, [[[1], [0]]]),
    ],
)
def test_rows_are_dealt_out_to_processes_and_parts(
    widths: list[int], processes: int, tokens: int | None, expected: list[list[list[int]]]
) -> None:
    assert divide(widths, processes, tokens) == expected


def test_a_group_of_one_needs_nobody() -> None:
    alone = Group()

    assert alone.total(1.5, 2.0) == [1.5, 2.0]
    assert alone.any(True, False) == [True, False]
    assert alone.collect("a") == ["a"]
    assert alone.from_main("b") == "b"
