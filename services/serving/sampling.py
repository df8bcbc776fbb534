"""Choosing the next token of each reply. Knows neither models nor batches' history.

The random number of a reply's n-th token is a function of (seed, n) alone, so that a reply can
be repeated in any company. Shapes: B = rows, V = vocabulary.
"""

import hashlib
import struct
from collections.abc import Sequence

import torch

GREEDY_BELOW = 1e-5
"""Temperatures below this are 0: dividing by them would overflow."""


class NonFiniteLogits(ArithmeticError):
    """The model's output contains NaN or infinity, so there is nothing to choose from."""


def uniform(seed: int, step: int) -> float:
    """Return the number in [0, 1) that belongs to token number `step` of a reply.

    Args:
        seed: signed 64-bit integer.
        step: index of the token in the reply, from 0.
    """
    digest = hashlib.blake2b(struct.pack("<qq", seed, step), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def choose_tokens(
    logits_bv: torch.Tensor, temperatures: Sequence[float], uniforms: Sequence[float]
) -> list[int]:
    """Choose one token per row by inverting the cumulative distribution in float64.

    Args:
        logits_bv: [B, V], any floating type.
        temperatures: B values; below GREEDY_BELOW the likeliest token is taken.
        uniforms: B values in [0, 1).

    Raises:
        NonFiniteLogits: a row holds NaN or infinity.
    """
    logits_bv = logits_bv.to(torch.float64)
    if not bool(torch.isfinite(logits_bv.sum())):
        raise NonFiniteLogits("the model computed numbers that are not finite")
    divisors = [1.0 if each < GREEDY_BELOW else each for each in temperatures]
    scaled_bv = logits_bv / torch.tensor(divisors, dtype=torch.float64).unsqueeze(1)
    cumulative_bv = torch.softmax(scaled_bv, dim=-1).cumsum_(dim=-1)
    targets_b1 = torch.tensor(uniforms, dtype=torch.float64).unsqueeze(1) * cumulative_bv[:, -1:]
    sampled_b = torch.searchsorted(cumulative_bv, targets_b1, right=True).squeeze(1)
    tokens: list[int] = sampled_b.clamp_(max=logits_bv.shape[1] - 1).tolist()
    for row, temperature in enumerate(temperatures):
        if temperature < GREEDY_BELOW:
            tokens[row] = int(logits_bv[row].argmax())
    return tokens
