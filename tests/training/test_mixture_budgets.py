"""Budgets, the order of sources, and batches."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.training.batches import collate, padded_width, plan_batches
from pipelines.training.encoding import EncodedExample
from pipelines.training.errors import DataUnusable
from pipelines.training.mixture import Selection, interleave, select_examples
from pipelines.training.shards import DocumentRow, ShardRow


def _example(length: int, first: int = 1) -> EncodedExample:
    return EncodedExample(
        tokens=np.arange(first, first + length, dtype=np.int32),
        supervised=np.ones(length, dtype=np.bool_),
    )


def _rows(*lengths: int) -> list[ShardRow]:
    return [DocumentRow(where="", text="w " * length) for length in lengths]


def _encode(rows: Sequence[ShardRow]) -> list[EncodedExample]:
    return [_example(len(row.text.split())) for row in rows if isinstance(row, DocumentRow)]


def test_examples_are_taken_in_order_until_the_next_does_not_fit() -> None:
    selection = select_examples("s", 10, _rows(4, 5, 2, 1), _encode)

    assert [len(each.tokens) for each in selection.examples] == [4, 5]
    assert (selection.num_tokens, selection.num_supervised) == (9, 9)


def test_examples_that_fill_the_budget_exactly_are_enough() -> None:
    assert select_examples("s", 9, _rows(4, 5), _encode).num_tokens == 9


def test_too_few_tokens_are_an_error_with_names_and_counts() -> None:
    with pytest.raises(DataUnusable, match=r'"stories": its 2 examples hold 9 tokens.* of 10'):
        select_examples("stories", 10, _rows(4, 5), _encode)


def test_a_budget_below_the_first_example_is_an_error() -> None:
    with pytest.raises(DataUnusable, match="budget of 3 tokens is less than its first example"):
        select_examples("s", 3, _rows(4), _encode)


def test_examples_are_repeated_in_a_new_order_up_to_the_allowed_epochs() -> None:
    rows = [DocumentRow(where="", text=f"w{at} " * 3) for at in range(50)]
    made: dict[str, EncodedExample] = {}

    def encode(chunk: Sequence[ShardRow]) -> list[EncodedExample]:
        texts = [row.text for row in chunk if isinstance(row, DocumentRow)]
        return [made.setdefault(text, _example(3)) for text in texts]

    def order(seed: int) -> list[int]:
        how = Selection(max_epochs=2.5, seed=seed)
        selection = select_examples("s", 375, rows, encode, how)
        assert selection.num_tokens == 375
        names = {id(example): at for at, example in enumerate(made.values())}
        return [names[id(example)] for example in selection.examples]

    first, second = order(0), order(1)

    assert first[:50] == list(range(50))
    assert sorted(first[50:100]) == list(range(50)) != first[50:100]
    assert len(set(first[100:])) == 25
    assert first[100:] != first[50:75]
    assert first == order(0)
    assert first[50:] != second[50:]


def test_more_epochs_than_allowed_are_an_error_with_the_number() -> None:
    with pytest.raises(DataUnusable, match=r"hold 9 tokens.* of 23; .* at most 2.5 times"):
        select_examples("s", 23, _rows(4, 5), _encode, Selection(max_epochs=2.5))


def test_a_share_of_the_rows_is_held_back_by_seed_and_counts_for_no_budget() -> None:
    rows = _rows(*[3] * 2000)

    def selected(name: str, seed: int) -> tuple[int, int]:
        how = Selection(validation_share=0.1, seed=seed)
        selection = select_examples(name, 4500, rows, _encode, how)
        assert selection.num_tokens == 4500
        return len(selection.examples), len(selection.validation)

    assert selected("a", 0) == selected("a", 0)
    assert len({selected(name, seed) for name in "ab" for seed in (0, 1)}) > 1
    assert all(150 < selected("a", seed)[1] < 250 for seed in range(3))


def test_what_is_held_back_is_trained_in_no_epoch() -> None:
    made: list[EncodedExample] = []

    def encode(chunk: Sequence[ShardRow]) -> list[EncodedExample]:
        made.extend(examples := [_example(3) for _ in chunk])
        return examples

    how = Selection(max_epochs=3, validation_share=0.2)
    selection = select_examples("s", 200, _rows(*[3] * 100), encode, how)

    held = {id(each) for each in selection.validation}
    trained = {id(each) for each in selection.examples}
    assert held
    assert not held & trained
    assert held | trained <= {id(each) for each in made}


def test_too_few_rows_to_hold_any_back_are_an_error() -> None:
    with pytest.raises(DataUnusable, match=r"validation_share of 0.001 holds back none"):
        select_examples("s", 9, _rows(4, 5), _encode, Selection(validation_share=0.001))


@given(
    st.lists(st.integers(2, 9), min_size=40, max_size=60),
    st.lists(st.integers(2, 9), min_size=40, max_size=60),
)
def test_sources_are_used_up_in_proportion(first: list[int], second: list[int]) -> None:
    selections = [
        select_examples("a", sum(first), _rows(*first), _encode),
        select_examples("b", 60, _rows(*second), _encode),
    ]

    merged = interleave(selections)

    half = merged[: len(merged) // 2]
    assert len(merged) == sum(len(each.examples) for each in selections)
    for selection in selections:
        mine = {id(each) for each in selection.examples}
        used = sum(len(each.tokens) for each in half if id(each) in mine) / selection.num_tokens
        everything = sum(len(each.tokens) for each in half) / sum(
            each.num_tokens for each in selections
        )
        assert used == pytest.approx(everything, abs=18 / selection.num_tokens)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=3000), st.integers(0, 5))
def test_a_plan_uses_every_example_once_within_the_batch_budget(
    lengths: list[int], seed: int
) -> None:
    plan = plan_batches(lengths, 96, seed)

    assert sorted(at for batch in plan for at in batch) == list(range(len(lengths)))
    for batch in plan:
        assert len(batch) * padded_width(max(lengths[at] for at in batch)) <= 96
    assert plan == plan_batches(lengths, 96, seed)


def test_a_batch_predicts_each_next_token_and_never_the_padding() -> None:
    batch = collate([_example(3, first=10), _example(5, first=20)], pad=0)

    inputs = batch.inputs.flatten()
    known = batch.targets >= 0
    pairs = zip(inputs[batch.positions[known]].tolist(), batch.targets[known].tolist(), strict=True)
    assert list(pairs) == [(10, 11), (11, 12), (20, 21), (21, 22), (22, 23), (23, 24)]
    assert batch.inputs.shape == (2, 8)
    assert len(batch.targets) == 64
