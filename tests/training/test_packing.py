"""Rows that several examples share: how they are filled, and that each example sees only itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from pipelines.training.batches import (
    collate,
    collate_packed,
    padded_width,
    plan_packed_batches,
    row_width,
)
from pipelines.training.encoding import EncodedExample
from pipelines.training.errors import SpecInvalid, StartUnusable
from pipelines.training.isolation import refuse_if_examples_mix
from pipelines.training.material import Material, prepare_material
from pipelines.training.spec import TrainingSpec, read_spec
from pipelines.training.tokenization import open_tokenizer
from tests.training.shard_files import dilemmas, rhymes, small_spec, write_shards

VOCABULARY = 60


def _network(model_type: str, **settings: Any) -> transformers.PreTrainedModel:
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "pad_token_id": 0,
    }
    configuration = transformers.AutoConfig.for_model(
        model_type, vocab_size=VOCABULARY, **sizes, **settings
    )
    torch.manual_seed(0)
    made: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        configuration, attn_implementation="sdpa", dtype=torch.float32
    )
    made.train(mode=False)
    return made


def _examples(*lengths: int) -> list[EncodedExample]:
    draw = np.random.default_rng(0)
    return [
        EncodedExample(
            tokens=draw.integers(1, VOCABULARY, length).astype(np.int32),
            supervised=draw.random(length) < 0.7,
        )
        for length in lengths
    ]


@given(
    st.lists(st.tuples(st.integers(1, 70), st.booleans()), min_size=1, max_size=2500),
    st.integers(0, 5),
)
def test_every_example_is_in_one_row_and_every_row_in_one_batch(
    examples: list[tuple[int, bool]], seed: int
) -> None:
    lengths, may_share = zip(*examples, strict=True)

    rows, plan = plan_packed_batches(lengths, may_share, 64, 256, seed)

    assert sorted(at for row in rows for at in row) == list(range(len(lengths)))
    assert sorted(row for batch in plan for row in batch) == list(range(len(rows)))
    for row in rows:
        assert len(row) == 1 or all(may_share[at] for at in row)
        assert len(row) == 1 or row_width([lengths[at] for at in row]) <= 64 + 1
    for batch in plan:
        widest = max(row_width([lengths[at] for at in rows[row]]) for row in batch)
        assert len(batch) * padded_width(widest) <= 256
    assert (rows, plan) == plan_packed_batches(lengths, may_share, 64, 256, seed)


def test_rows_are_filled_best_first() -> None:
    lengths = [11, 61, 31, 24, 11]

    rows, _ = plan_packed_batches(lengths, [True] * 5, 64, 64, seed=0)

    assert sorted(map(sorted, rows)) == [[0, 2, 3], [1], [4]]


def test_a_row_asks_for_no_token_across_the_end_of_an_example() -> None:
    first, second, third = _examples(4, 6, 3)
    rows = [[first, second], [third]]

    batch = collate_packed(rows, 0, in_one_row=False)

    assert batch.position_ids is not None
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 2, 3, 4], [0, 1, 0, 1, 2, 3, 4, 5]]
    known = batch.targets >= 0
    inputs = batch.inputs.flatten()[batch.positions[known]].tolist()
    wanted = [
        (int(each.tokens[at]), int(each.tokens[at + 1]))
        for each in (first, second, third)
        for at in range(len(each.tokens) - 1)
        if each.supervised[at + 1]
    ]
    assert list(zip(inputs, batch.targets[known].tolist(), strict=True)) == wanted


def test_rows_can_be_joined_to_one() -> None:
    rows = [_examples(4, 6), _examples(3)]

    batch = collate_packed(rows, 0, in_one_row=True)

    assert batch.position_ids is not None
    assert batch.position_ids.tolist() == [
        [0, 1, 2, 0, 1, 2, 3, 4, 0, 1, *range(6)],
    ]


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("llama", {}),
        ("qwen2", {}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": 8}),
        ("gemma3_text", {"sliding_window": 8}),
    ],
)
@torch.no_grad()
def test_the_second_example_of_a_row_gets_the_logits_it_gets_alone(
    model_type: str, settings: dict[str, Any]
) -> None:
    network = _network(model_type, **settings)
    first, second = _examples(14, 11)
    packed = collate_packed([[first, second]], 0, in_one_row=False)
    assert packed.position_ids is not None

    logits = network(
        input_ids=packed.inputs, position_ids=packed.position_ids, use_cache=False
    ).logits[0, 13:23]

    alone = torch.from_numpy(second.tokens[None, :-1].astype(np.int64))
    torch.testing.assert_close(logits, network(input_ids=alone, use_cache=False).logits[0])
    refuse_if_examples_mix(network)


@torch.no_grad()
def test_packed_and_padded_batches_have_the_same_loss() -> None:
    network = _network("llama")
    examples = _examples(9, 20, 5, 13)

    losses = []
    for batch in (
        collate(examples, 0),
        collate_packed([examples[:2], examples[2:]], 0, in_one_row=False),
        collate_packed([examples], 0, in_one_row=True),
    ):
        logits = network(
            input_ids=batch.inputs, position_ids=batch.position_ids, use_cache=False
        ).logits
        chosen = logits.flatten(0, 1)[batch.positions]
        losses.append(torch.nn.functional.cross_entropy(chosen, batch.targets, reduction="sum"))

    torch.testing.assert_close(torch.stack(losses), losses[0].expand(3))


def test_a_network_that_cannot_keep_examples_apart_is_refused() -> None:
    mamba = transformers.AutoConfig.for_model(
        "mamba", vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, state_size=4
    )
    network = transformers.AutoModelForCausalLM.from_config(mamba)  # type: ignore[no-untyped-call]

    with pytest.raises(StartUnusable, match=r'MambaForCausalLM .* set packing to "none"'):
        refuse_if_examples_mix(network)


def test_plain_products_cannot_be_packed(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(small_spec(tmp_path, 10, packing="all")))

    with pytest.raises(SpecInvalid, match='"products" cannot tell examples of one row apart'):
        read_spec(tmp_path / "spec.json")


def _material(tmp_path: Path, **changes: Any) -> Material:
    data = tmp_path / "data"
    if not data.exists():
        write_shards(data, [*rhymes(300), *dilemmas(100)])
    spec = TrainingSpec.model_validate_json(
        json.dumps(small_spec(data, 5000, attention="sdpa", **changes))
    )
    return prepare_material(spec, open_tokenizer(spec.start), 64)


def test_packing_changes_the_batches_and_not_what_is_trained(tmp_path: Path) -> None:
    padded, packed = _material(tmp_path), _material(tmp_path, packing="all")

    def targets(material: Material) -> list[int]:
        batches = (material.batch(at) for at in range(len(material.plan)))
        return sorted(each for batch in batches for each in batch.targets.tolist() if each >= 0)

    def computed(material: Material) -> int:
        return sum(material.batch(at).inputs.numel() for at in range(len(material.plan)))

    assert targets(packed) == targets(padded)
    assert sum(map(padded.num_targets, range(len(padded.plan)))) == len(targets(padded))
    assert sum(map(packed.num_targets, range(len(packed.plan)))) == len(targets(padded))
    assert packed.tokens_after[-1] == padded.tokens_after[-1] == packed.num_tokens
    assert computed(packed) < computed(padded)
    assert packed.digest() != padded.digest()


def test_only_documents_are_packed_where_the_spec_says_so(tmp_path: Path) -> None:
    material = _material(tmp_path, packing="documents")

    assert material.packed is not None
    shared = [material.examples[at] for row in material.packed if len(row) > 1 for at in row]
    alone = [material.examples[row[0]] for row in material.packed if len(row) == 1]
    assert all(example.is_document for example in shared)
    assert sum(not example.is_document for example in alone) > 50


def test_the_batches_of_a_plain_spec_never_change(tmp_path: Path) -> None:
    """A new version of the program must not make another model of the same spec and data."""
    digest = _material(tmp_path).digest()

    assert digest == "0662ec63f11cf17b5d753d883825cf516fdd348b00987949bf363adad8dd22cb"
