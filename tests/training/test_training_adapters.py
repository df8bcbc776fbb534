"""LoRA: what is trained, what is saved, and that both forms of the output are one model."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from pipelines.training.errors import StartUnusable
from tests.training.conftest import Start, Train
from tests.training.shard_files import dilemmas, rhymes, small_spec, write_shards

LORA = {"kind": "lora", "rank": 4, "alpha": 8}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, train_here: Train) -> Path:
    """Folder of a small model, which the tests only read."""
    folder = tmp_path_factory.mktemp("base")
    data = write_shards(folder / "data", [*rhymes(120), *dilemmas(40)])
    spec = small_spec(data, 1500)
    # Processes have random numbers of their own, so their dropout could not be compared.
    spec["start"]["model"]["attention_dropout"] = 0.0
    train_here(spec, folder / "base")
    return folder / "base" / "model"


def _spec(base: Path, adapter: dict[str, Any], **changes: Any) -> dict[str, Any]:
    chats = base.parents[1] / "chats"
    if not chats.exists():
        write_shards(chats, dilemmas(80, seed=1))
    settings = {
        "precision": "float32",
        "log_every_steps": 1,
        "optimizer": {"muon_learning_rate": None, "adam_learning_rate": 0.01},
        **changes,
    }
    spec = small_spec(chats, 1500, adapter={**LORA, **adapter}, **settings)
    start = {"kind": "checkpoint", "path": str(base), "name": "acme/base", "revision": "r1"}
    return {**spec, "start": start}


def _logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = network.eval()(input_ids=torch.arange(12)[None]).logits
    return logits


def _load(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_an_adapter_alone_and_merged_are_one_model(
    tmp_path: Path, base: Path, train_here: Train
) -> None:
    train_here(_spec(base, {"merge": False}), tmp_path / "alone")
    train_here(_spec(base, {"merge": True}), tmp_path / "merged")

    alone, merged = tmp_path / "alone" / "model", tmp_path / "merged" / "model"
    adapted = peft.PeftModel.from_pretrained(_load(base), str(alone))
    assert torch.allclose(_logits(adapted), _logits(_load(merged)), atol=1e-5)
    assert not torch.allclose(_logits(_load(base)), _logits(_load(merged)), atol=1e-2)
    config = json.loads((alone / "adapter_config.json").read_bytes())
    assert (config["base_model_name_or_path"], config["r"]) == ("acme/base", 4)
    assert not (alone / "model.safetensors").exists()
    assert transformers.AutoTokenizer.from_pretrained(alone).eos_token == "<end>"
    assert 'base_model: "acme/base"' in (alone / "README.md").read_text()
    facts = json.loads((alone / "training.json").read_bytes())
    assert facts["start"] == {
        "kind": "checkpoint",
        "name": "acme/base",
        "revision": "r1",
        "manifest_digest": None,
    }


def test_only_the_layers_that_an_adapter_names_change(
    tmp_path: Path, base: Path, train_here: Train
) -> None:
    train_here(_spec(base, {"targets": ["q_proj", "down_proj"]}), tmp_path / "out")

    before, after = (
        load_file(folder / "model.safetensors") for folder in (base, tmp_path / "out" / "model")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed == {
        f"model.layers.{layer}.{name}.weight"
        for layer in (0, 1)
        for name in ("self_attn.q_proj", "mlp.down_proj")
    }


def test_an_adapter_trains_on_after_a_stop_to_the_same_bytes(
    tmp_path: Path, base: Path, train_here: Train
) -> None:
    spec = _spec(base, {"dropout": 0.1, "merge": False})
    train_here(spec, tmp_path / "whole")
    steps = iter(range(100))

    train_here(spec, tmp_path / "parts", lambda: next(steps) == 4)
    (checkpoint,) = (tmp_path / "parts").glob("checkpoint-*")
    train_here(spec, tmp_path / "parts")

    assert not (checkpoint / "model.safetensors").exists()
    whole, parts = (
        (tmp_path / each / "model" / "adapter_model.safetensors").read_bytes()
        for each in ("whole", "parts")
    )
    assert whole == parts


@pytest.mark.parametrize("merge", [True, False])
def test_frozen_weights_in_bfloat16_learn_as_those_in_float32(
    tmp_path: Path, base: Path, train_here: Train, *, merge: bool
) -> None:
    full = {"precision": "bfloat16", "adapter": {**LORA, "merge": merge}}
    train_here({**_spec(base, {}), **full}, tmp_path / "full")
    half = {**full, "weights": "bfloat16", "save_dtype": "bfloat16"}
    train_here({**_spec(base, {}), **half}, tmp_path / "half")

    curves = [
        [
            loss
            for _, loss in json.loads((tmp_path / each / "result.json").read_bytes())["loss_curve"]
        ]
        for each in ("full", "half")
    ]
    name = "model.safetensors" if merge else "adapter_model.safetensors"
    saved = load_file(tmp_path / "half" / "model" / name)
    assert curves[1] == pytest.approx(curves[0], abs=0.05)
    assert {each.dtype for each in saved.values()} == {torch.bfloat16}


def test_a_layer_that_is_not_there_is_refused(
    tmp_path: Path, base: Path, train_here: Train
) -> None:
    with pytest.raises(StartUnusable, match=r"adapter\.targets: .*c_attn"):
        train_here(_spec(base, {"targets": ["c_attn"]}), tmp_path / "out")


@pytest.mark.slow
def test_two_processes_with_a_part_of_the_frozen_weights_each_train_the_same_adapter(
    tmp_path: Path, base: Path, train_here: Train, start_program: Start
) -> None:
    train_here(_spec(base, {}), tmp_path / "one")

    spec = _spec(base, {}, sharding="full", checkpoint_every_steps=5)
    process = start_program(spec, tmp_path / "two", processes=2)
    _, complaints = process.communicate(timeout=300)

    assert process.returncode == 0, complaints
    one, two = (
        load_file(tmp_path / each / "model" / "model.safetensors") for each in ("one", "two")
    )
    assert one.keys() == two.keys()
    assert max(float((one[each] - two[each]).abs().max()) for each in one) < 1e-4
