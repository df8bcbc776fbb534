"""Replies do not depend on their company."""

import random

import pytest
import torch
import transformers

from services.serving.engine import Engine, UnsupportedModel
from services.serving.row import Row
from tests.serving.tiny_checkpoints import END, VOCABULARY, make_model

NUM_ROWS = 60


def _rows(*, max_new_tokens: int = 24) -> list[Row]:
    numbers = random.Random(5)
    return [
        Row(
            prompt_ids=[numbers.randrange(len(VOCABULARY)) for _ in range(numbers.randint(1, 60))],
            max_new_tokens=numbers.randint(1, max_new_tokens),
            temperature=numbers.choice([0.0, 0.7, 1.0]),
            seed=numbers.getrandbits(63),
        )
        for _ in range(NUM_ROWS)
    ]


def _engine(*, context_tokens: int = 160) -> Engine:
    model = make_model(context_tokens=context_tokens, dtype=torch.float64)
    return Engine(model, end_ids=frozenset({END}), context_tokens=context_tokens)


def _generate(engine: Engine, rows: list[Row], *, batch: int) -> None:
    """Keep up to `batch` rows going; newcomers join between any two steps."""
    waiting = list(rows)
    while waiting or engine.rows:
        free = min(batch - len(engine.rows), len(waiting))
        if free:
            engine.join(waiting[:free])
            del waiting[:free]
        else:
            engine.step()
        for row in [each for each in engine.rows if each.finish is not None]:
            engine.leave(row)


def test_replies_are_the_same_alone_together_and_in_any_order() -> None:
    engine = _engine()
    alone, together, shuffled = _rows(), _rows(), _rows()
    order = random.Random(1).sample(range(NUM_ROWS), NUM_ROWS)

    _generate(engine, alone, batch=1)
    _generate(engine, together, batch=NUM_ROWS)
    _generate(engine, [shuffled[index] for index in order], batch=7)

    expected = [(row.new_ids, row.finish) for row in alone]
    assert [(row.new_ids, row.finish) for row in together] == expected
    assert [(row.new_ids, row.finish) for row in shuffled] == expected
    assert len({tuple(ids) for ids, _ in expected}) > NUM_ROWS / 2


def test_greedy_replies_are_those_of_transformers() -> None:
    engine = _engine()
    model = make_model(dtype=torch.float64)
    rows = [
        Row(prompt_ids=[9 + n] * n, max_new_tokens=20, temperature=0.0, seed=0) for n in (3, 17, 40)
    ]

    _generate(engine, rows, batch=3)

    for row in rows:
        prompt = torch.tensor([list(row.prompt_ids)])
        reply = model.generate(  # type: ignore[operator]
            prompt, max_new_tokens=20, do_sample=False, pad_token_id=0
        )
        assert row.new_ids == reply[0, len(row.prompt_ids) :].tolist()


def test_a_long_run_outgrows_its_buffers_without_a_trace() -> None:
    engine = _engine(context_tokens=1024)
    long, alone = (
        Row(prompt_ids=[20, 21, 22], max_new_tokens=500, temperature=0.0, seed=1) for _ in range(2)
    )
    guests = _rows()

    _generate(engine, [alone], batch=1)
    engine.join([long])
    while long.finish is None:
        if guests and len(engine.rows) < 4:
            engine.join([guests.pop()])
        engine.step()
        for row in [each for each in engine.rows if each.finish is not None]:
            engine.leave(row)

    assert not guests
    assert long.new_ids == alone.new_ids


def test_a_row_that_leaves_early_leaves_the_others_alone() -> None:
    engine = _engine()
    alone, kept, dropped = (
        Row(prompt_ids=[30 + n, 31, 32], max_new_tokens=15, temperature=0.0, seed=0)
        for n in (0, 0, 5)
    )
    _generate(engine, [alone], batch=1)

    engine.join([dropped, kept])
    engine.step()
    engine.leave(dropped)
    while kept.finish is None:
        engine.step()

    assert kept.new_ids == alone.new_ids


def test_the_token_that_ends_a_reply_stops_it_and_the_limit_cuts_it() -> None:
    model = make_model(dtype=torch.float64)
    first = Row(prompt_ids=[40, 41], max_new_tokens=3, temperature=0.0, seed=0)
    _generate(Engine(model, end_ids=frozenset({END}), context_tokens=160), [first], batch=1)
    ended = Row(prompt_ids=[40, 41], max_new_tokens=3, temperature=0.0, seed=0)
    end = frozenset({first.new_ids[0]})

    _generate(Engine(model, end_ids=end, context_tokens=160), [ended], batch=1)

    assert (len(first.new_ids), first.finish) == (3, "length")
    assert (len(ended.new_ids), ended.finish) == (1, "stop")


def test_a_model_that_forgets_its_context_is_refused() -> None:
    config = transformers.MistralConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=8,
    )
    model = transformers.MistralForCausalLM(config)

    with pytest.raises(UnsupportedModel, match="full context"):
        Engine(model, end_ids=frozenset({1}), context_tokens=64)


@pytest.mark.parametrize("family", ["qwen2", "gpt_neox", "gpt2"])
def test_other_families_give_the_same_replies_alone_and_together(family: str) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    extra = {"qwen2": {"num_key_value_heads": 2, "intermediate_size": 48}, "gpt2": {}}.get(
        family, {"intermediate_size": 48}
    )
    config = transformers.AutoConfig.for_model(family, **sizes, **extra)
    model = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, attn_implementation="sdpa", dtype=torch.float64
    )
    model.train(mode=False)
    engine = Engine(model, end_ids=frozenset({1}), context_tokens=128)
    alone, together = (
        [
            Row(prompt_ids=[5 + n] * (2 + 3 * n), max_new_tokens=12, temperature=1.0, seed=n)
            for n in range(5)
        ]
        for _ in range(2)
    )

    _generate(engine, alone, batch=1)
    _generate(engine, together, batch=5)

    assert [row.new_ids for row in together] == [row.new_ids for row in alone]
