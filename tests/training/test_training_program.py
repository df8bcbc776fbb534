"""What a training leaves behind, and what it starts from."""

import json
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from pipelines.training.errors import DataUnusable, OutputUnusable, StartUnusable
from tests.training.conftest import Train
from tests.training.shard_files import TEMPLATE, chat, dilemmas, rhymes, small_spec, write_shards


def _weights(output: Path) -> bytes:
    return (output / "model" / "model.safetensors").read_bytes()


def test_a_training_leaves_a_hugging_face_folder_and_a_result(
    tmp_path: Path, train_here: Train
) -> None:
    data = write_shards(tmp_path / "data", rhymes(900))

    events = train_here(small_spec(data, 6000), tmp_path / "out")

    model = tmp_path / "out" / "model"
    result = json.loads((tmp_path / "out" / "result.json").read_bytes())
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModelForCausalLM.from_pretrained(model)
    assert 5900 < result["tokens"] <= 6000
    assert result["loss_curve"][-1][0] == result["tokens"]
    assert result["final_loss"] == result["loss_curve"][-1][1] < result["loss_curve"][0][1] - 0.5
    assert result["steps"] > 40
    assert result["tokens_per_second"] > 0
    assert result["sources"]["all"]["supervised_tokens"] == result["tokens"]
    assert {path.stat().st_mode & 0o777 for path in model.iterdir()} == {0o644}
    assert tokenizer.decode(tokenizer("w1 w2 <end>").input_ids, skip_special_tokens=True) == "w1 w2"
    assert tokenizer.chat_template == TEMPLATE
    assert network.config.eos_token_id == tokenizer.eos_token_id
    assert "attn_implementation" not in (model / "config.json").read_text()
    assert not list((tmp_path / "out").glob("*checkpoint*"))
    assert [each["event"] for each in events][:2] == ["training.source", "training.progress"]


def test_two_trainings_of_one_spec_are_byte_identical(tmp_path: Path, train_here: Train) -> None:
    data = write_shards(tmp_path / "data", [*rhymes(200), *dilemmas(100)])
    spec = small_spec(data, 2500)

    train_here(spec, tmp_path / "one")
    train_here(spec, tmp_path / "two")
    train_here({**spec, "seed": 1}, tmp_path / "other")

    assert _weights(tmp_path / "one") == _weights(tmp_path / "two")
    assert _weights(tmp_path / "one") != _weights(tmp_path / "other")


def test_a_checkpoint_can_be_trained_further_on_chats(tmp_path: Path, train_here: Train) -> None:
    data = write_shards(tmp_path / "data", [*rhymes(100), *dilemmas(10)])
    chats = write_shards(tmp_path / "chats", dilemmas(80, seed=1))
    train_here(small_spec(data, 900), tmp_path / "base")
    spec = small_spec(chats, 1500)
    spec["start"] = {"kind": "checkpoint", "path": str(tmp_path / "base" / "model")}

    train_here(spec, tmp_path / "tuned")

    result = json.loads((tmp_path / "tuned" / "result.json").read_bytes())
    before, after = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("base", "tuned")
    )
    source = result["sources"]["all"]
    assert 0 < source["supervised_tokens"] < source["tokens"] / 2
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in before)


def _plain_folder(folder: Path, chat_template: str) -> Path:
    """Make what a model hub would give: a byte-pair tokenizer and a small GPT-2."""
    bpe = Tokenizer(BPE())
    bpe.pre_tokenizer = ByteLevel()
    trainer = BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=ByteLevel.alphabet()
    )
    bpe.train_from_iterator(["the quick brown fox"], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, eos_token="<|end|>", chat_template=chat_template
    )
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=256
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


CHATML = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.role == 'assistant' %}MARK{{ message.content }}<|end|>ENDMARK"
    "{% else %}{{ message.content }}{% endif %}{% endfor %}"
)
MARKED = CHATML.replace("ENDMARK", "{% endgeneration %}").replace("MARK", "{% generation %}")
UNMARKED = CHATML.replace("ENDMARK", "").replace("MARK", "")


def test_a_plain_hugging_face_folder_can_be_trained(tmp_path: Path, train_here: Train) -> None:
    data = write_shards(tmp_path / "data", [*rhymes(20), *dilemmas(20)])
    spec = small_spec(data, 1200, attention="sdpa", precision="float32")
    path = str(_plain_folder(tmp_path / "hub", UNMARKED))
    spec["start"] = {"kind": "checkpoint", "path": path, "chat_template": MARKED}

    train_here(spec, tmp_path / "out")

    model = tmp_path / "out" / "model"
    assert transformers.AutoModelForCausalLM.from_pretrained(model).config.model_type == "gpt2"
    assert transformers.AutoTokenizer.from_pretrained(model).chat_template == MARKED


def test_a_folder_whose_template_gives_no_prompt_is_refused(
    tmp_path: Path, train_here: Train
) -> None:
    data = write_shards(tmp_path / "data", dilemmas(20))
    spec = small_spec(data, 600)
    path = str(_plain_folder(tmp_path / "hub", UNMARKED))
    spec["start"] = {"kind": "checkpoint", "path": path}

    with pytest.raises(DataUnusable, match=r"e0: .* shows an assistant's turn as '<\|assistant"):
        train_here(spec, tmp_path / "out")


def test_a_folder_whose_template_gives_a_prompt_is_trained_packed_and_measured(
    tmp_path: Path, train_here: Train
) -> None:
    chats = [chat(("user", f"w{at} ?"), ("assistant", f"no w{at}")) for at in range(80)]
    data = write_shards(tmp_path / "data", [*rhymes(80), *chats])
    spec = small_spec(
        data, 6000, attention="sdpa", precision="float32", packing="all", validation_share=0.2
    )
    prompted = UNMARKED + "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    path = str(_plain_folder(tmp_path / "hub", prompted))
    spec["start"] = {"kind": "checkpoint", "path": path}
    spec["mixture"][0]["max_epochs"] = 3

    train_here(spec, tmp_path / "out")

    source = json.loads((tmp_path / "out" / "result.json").read_bytes())["sources"]["all"]
    assert 5900 < source["tokens"] <= 6000
    assert 0 < source["supervised_tokens"] < source["tokens"]
    assert source["examples"] > 160


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden_sizes": 3}, "start.model.hidden_sizes"),
        ({"vocab_size": 3}, "start.model.vocab_size"),
        ({"model_type": "lama"}, "start.model.model_type"),
        ({"max_position_embeddings": 8}, "more than the 8 that the model reads"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_field(
    tmp_path: Path, train_here: Train, setting: dict[str, object], message: str
) -> None:
    spec = small_spec(write_shards(tmp_path / "data", rhymes(50)), 300)
    spec["start"]["model"] |= setting

    with pytest.raises((StartUnusable, DataUnusable), match=message):
        train_here(spec, tmp_path / "out")


def test_checkpoints_of_another_training_are_not_resumed(tmp_path: Path, train_here: Train) -> None:
    data = write_shards(tmp_path / "data", rhymes(100))
    spec = small_spec(data, 700)
    train_here(spec, tmp_path / "out", lambda: True)

    with pytest.raises(OutputUnusable, match="of another spec or of other data"):
        train_here({**spec, "clip_norm": 0.5}, tmp_path / "out")
