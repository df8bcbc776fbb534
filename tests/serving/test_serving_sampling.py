"""One token per row, by its own seed alone."""

import math
from collections import Counter

import pytest
import torch

from services.serving.sampling import NonFiniteLogits, choose_tokens, uniform

LOGITS = torch.tensor([[0.0, math.log(2.0), math.log(5.0)]], dtype=torch.float64)


def test_a_uniform_number_depends_on_seed_and_step_only() -> None:
    assert uniform(7, 3) == uniform(7, 3)
    assert len({uniform(seed, step) for seed in range(-50, 50) for step in range(50)}) == 5000


def test_uniform_numbers_fill_the_unit_interval() -> None:
    numbers = [uniform(seed, 0) for seed in range(4000)]

    assert all(0.0 <= number < 1.0 for number in numbers)
    assert Counter(int(number * 4) for number in numbers).most_common()[-1][1] > 900


def test_tokens_are_chosen_as_often_as_their_probability_says() -> None:
    rows = 4000
    tokens = choose_tokens(
        LOGITS.expand(rows, 3), [1.0] * rows, [(row + 0.5) / rows for row in range(rows)]
    )

    assert Counter(tokens) == {0: 500, 1: 1000, 2: 2500}


def test_temperature_flattens_and_zero_takes_the_likeliest() -> None:
    assert choose_tokens(LOGITS.expand(3, 3), [0.0, 1.0, 1e9], [0.0, 0.0, 0.999]) == [2, 0, 2]
    assert choose_tokens(LOGITS, [1e-300], [0.0]) == [2]


def test_an_impossible_token_is_never_chosen() -> None:
    logits = torch.tensor([[-1e6, 0.0, -1e6]], dtype=torch.float64)

    assert choose_tokens(logits.expand(2, 3), [1.0, 1.0], [0.0, 1.0 - 2.0**-53]) == [1, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_a_fault(bad: float) -> None:
    with pytest.raises(NonFiniteLogits):
        choose_tokens(torch.tensor([[0.0, bad]]), [0.0], [0.5])
