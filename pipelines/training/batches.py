"""Cutting examples into batches of similar length. Knows no loss and no optimizer."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.training.encoding import EncodedExample

# Examples that are sorted by length together: enough for little padding, few enough that
# the order of the mixture is kept from pool to pool.
_POOL_EXAMPLES = 1024

# Matrix products are compiled for each new shape, which costs more than some padding: widths and
# numbers of targets come in multiples, so that a training meets few shapes.
_WIDTH_MULTIPLE = 8
_TARGET_MULTIPLE = 64
_NO_TARGET = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B examples without their last token, padded on the right to T tokens.

    No attention mask is needed: attention is causal, so no token sees the padding after it.
    """

    inputs: torch.Tensor
    """[B, T] int64"""
    positions: torch.Tensor
    """[S] int64, positions in the flattened inputs whose next token is trained on."""
    targets: torch.Tensor
    """[S] int64, those next tokens; -100 at the end, where S is filled up."""


def plan_batches(lengths: Sequence[int], batch_tokens: int, seed: int) -> list[list[int]]:
    """Cut examples into batches, each at most batch_tokens including padding.

    A longer example is a batch of its own. The same arguments give the same plan.
    """
    shuffler = random.Random(seed)  # noqa: S311  (an order, not a secret)
    plan: list[list[int]] = []
    for start in range(0, len(lengths), _POOL_EXAMPLES):
        pool = range(start, min(start + _POOL_EXAMPLES, len(lengths)))
        cut: list[list[int]] = []
        current: list[int] = []
        for example in sorted(pool, key=lengths.__getitem__):
            if current and (len(current) + 1) * padded_width(lengths[example]) > batch_tokens:
                cut.append(current)
                current = []
            current.append(example)
        cut.append(current)
        shuffler.shuffle(cut)
        plan.extend(cut)
    return plan


def padded_width(length: int) -> int:
    """Columns of the inputs for an example of this length; its last token is not an input."""
    return max(1, -(-(length - 1) // _WIDTH_MULTIPLE)) * _WIDTH_MULTIPLE


def collate(examples: Sequence[EncodedExample], pad: int) -> Batch:
    """Pad examples to the longest of them."""
    width = padded_width(max(len(example.tokens) for example in examples))
    tokens = np.full((len(examples), width + 1), pad, dtype=np.int64)
    supervised = np.zeros((len(examples), width + 1), dtype=np.bool_)
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = example.tokens
        supervised[row, : len(example.tokens)] = example.supervised
    chosen = np.flatnonzero(supervised[:, 1:])
    filling = -len(chosen) % _TARGET_MULTIPLE
    positions = np.pad(chosen, (0, filling))
    targets = np.pad(tokens[:, 1:].reshape(-1)[chosen], (0, filling), constant_values=_NO_TARGET)
    return Batch(
        inputs=torch.from_numpy(np.ascontiguousarray(tokens[:, :-1])),
        positions=torch.from_numpy(positions),
        targets=torch.from_numpy(targets),
    )
