"""The optimizer and the attention are those of torch, only faster."""

import pytest
import torch

from pipelines.training.attention import causal_products
from pipelines.training.errors import StartUnusable
from pipelines.training.muon import MuonWithAdam
from pipelines.training.optimization import learning_rate_factor
from pipelines.training.spec import ScheduleSpec

SHAPES = [(16, 16), (16, 16), (40, 16), (16, 40), (40, 16)]


def _parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(*shape, generator=generator)) for shape in SHAPES]


def test_batched_muon_takes_the_steps_of_torchs_muon() -> None:
    ours, theirs = _parameters(), _parameters()
    batched = MuonWithAdam(
        matrices=ours,
        others=[],
        muon={"lr": 0.02, "momentum": 0.95, "weight_decay": 0.01},
        adam={},
    )
    single = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.01)
    generator = torch.Generator().manual_seed(2)

    for _ in range(5):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(*mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        batched.step()
        single.step()  # type: ignore[no-untyped-call]

    for before, mine, other in zip(_parameters(), ours, theirs, strict=True):
        moved = (other - before).norm()
        # Both compute in bfloat16, whose rounding depends on the kernel.
        assert (mine - other).norm() < 0.02 * moved


def test_the_other_parameters_take_the_steps_of_torchs_adamw() -> None:
    ours, theirs = _parameters(), _parameters()
    settings = {"lr": 0.01, "betas": (0.9, 0.98), "weight_decay": 0.1}
    mixed = MuonWithAdam(
        matrices=ours[:1],
        others=ours[1:],
        muon={"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0},
        adam=settings,
    )
    single = torch.optim.AdamW(theirs[1:], lr=0.01, betas=(0.9, 0.98), weight_decay=0.1, fused=True)

    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.ones_like(mine)
            other.grad = torch.ones_like(other)
        mixed.step()
        single.step()

    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert torch.equal(mine, other)


def test_a_matrix_without_a_gradient_stays_as_it_is() -> None:
    (first, second, *_) = parameters = _parameters()
    before = second.detach().clone()
    muon = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    optimizer = MuonWithAdam(matrices=parameters[:2], others=[], muon=muon, adam={})
    first.grad = torch.ones_like(first)

    optimizer.step()

    assert torch.equal(second, before)


def test_the_learning_rate_rises_then_falls_to_its_floor() -> None:
    schedule = ScheduleSpec(warmup_share=0.1, final_share=0.05)
    shares = [0.0, 0.05, 0.1, 0.55, 1.0]

    factors = [learning_rate_factor(schedule, share) for share in shares]

    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.525, 0.05])


class _Layer(torch.nn.Module):
    is_causal = True


def test_products_are_the_attention_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, 7, 8, generator=generator)
    key, value = (torch.randn(2, 2, 7, 8, generator=generator) for _ in range(2))

    ours, _ = causal_products(_Layer(), query, key, value, None)

    theirs = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=True
    )
    assert torch.allclose(ours.transpose(1, 2), theirs, atol=1e-5)


def test_products_refuse_attention_that_they_do_not_compute() -> None:
    tokens = torch.zeros(1, 1, 2, 4)

    with pytest.raises(StartUnusable, match="sliding_window"):
        causal_products(_Layer(), tokens, tokens, tokens, None, sliding_window=4)
