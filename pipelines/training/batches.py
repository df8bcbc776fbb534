"""Cutting examples into batches of similar length. Knows no loss and no optimizer."""

import bisect
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
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
    position_ids: torch.Tensor | None = None
    """[B, T] int64, place of a token in its own example; None: one example a row."""


def plan_batches(lengths: Sequence[int], batch_tokens: int, seed: int) -> list[list[int]]:
    """Cut examples into batches, each at most batch_tokens including padding.

    A longer example is a batch of its own. The same arguments give the same plan.
    """
    sizes = [_POOL_EXAMPLES] * (len(lengths) // _POOL_EXAMPLES)
    return _plan(lengths, [*sizes, len(lengths) % _POOL_EXAMPLES], batch_tokens, seed)


def _plan(
    lengths: Sequence[int], pools: Sequence[int], batch_tokens: int, seed: int
) -> list[list[int]]:
    """Cut rows into batches, given their lengths and how many make up each pool."""
    shuffler = random.Random(seed)  # noqa: S311  (an order, not a secret)
    plan: list[list[int]] = []
    for start, end in itertools.pairwise(itertools.accumulate(pools, initial=0)):
        if start == end:
            continue
        cut: list[list[int]] = []
        current: list[int] = []
        for row in sorted(range(start, end), key=lengths.__getitem__):
            if current and (len(current) + 1) * padded_width(lengths[row]) > batch_tokens:
                cut.append(current)
                current = []
            current.append(row)
        cut.append(current)
        shuffler.shuffle(cut)
        plan.extend(cut)
    return plan


def plan_packed_batches(
    lengths: Sequence[int],
    may_share: Sequence[bool],
    row_tokens: int,
    batch_tokens: int,
    seed: int,
) -> tuple[list[list[int]], list[list[int]]]:
    """Put examples that may share a row into rows of at most row_tokens inputs; cut rows as above.

    The rows of a pool are filled from the longest example to the shortest, each going where the
    least room is left (best fit decreasing). A longer example has a row of its own.

    Returns:
        The examples of every row, and the rows of every batch.
    """
    row_tokens -= row_tokens % _WIDTH_MULTIPLE
    rows: list[list[int]] = []
    pools: list[int] = []
    for start in range(0, len(lengths), _POOL_EXAMPLES):
        pool = range(start, min(start + _POOL_EXAMPLES, len(lengths)))
        filled = _fill_rows([at for at in pool if may_share[at]], lengths, row_tokens)
        filled += [[at] for at in pool if not may_share[at]]
        rows += filled
        pools.append(len(filled))
    widths = [row_width([lengths[at] for at in row]) for row in rows]
    return rows, _plan(widths, pools, batch_tokens, seed)


def _fill_rows(examples: Sequence[int], lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    rows: list[list[int]] = []
    # Room that is left and the row that has it, in order.
    room: list[tuple[int, int]] = []
    for example in sorted(examples, key=lambda at: -lengths[at]):
        inputs = max(1, lengths[example] - 1)
        best = bisect.bisect_left(room, (inputs, 0))
        if best == len(room):
            rows.append([example])
            left, row = row_tokens - inputs, len(rows) - 1
        else:
            left, row = room.pop(best)
            rows[row].append(example)
            left -= inputs
        bisect.insort(room, (left, row))
    return rows


def row_width(lengths: Sequence[int]) -> int:
    """Tokens of a row of examples: of each all but the last, which is no input, and one more."""
    return sum(max(1, length - 1) for length in lengths) + 1


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
    return _batch(tokens[:, :-1], tokens[:, 1:], supervised[:, 1:])


def collate_packed(
    rows: Sequence[Sequence[EncodedExample]], pad: int, *, in_one_row: bool
) -> Batch:
    """Put examples behind each other; no token is asked for across the end of an example.

    Args:
        rows: the examples of each row.
        pad: token behind the last example.
        in_one_row: join all rows, which flash attention needs to tell examples apart.
    """
    if in_one_row:
        rows = [[example for row in rows for example in row]]
    width = max(padded_width(row_width([len(each.tokens) for each in row])) for row in rows)
    inputs = np.full((len(rows), width), pad, dtype=np.int64)
    following = np.full((len(rows), width), pad, dtype=np.int64)
    supervised = np.zeros((len(rows), width), dtype=np.bool_)
    places = np.zeros((len(rows), width), dtype=np.int64)
    for at, row in enumerate(rows):
        start = 0
        for example in row:
            end = start + max(1, len(example.tokens) - 1)
            inputs[at, start:end] = example.tokens[:-1] if len(example.tokens) > 1 else pad
            following[at, start : start + len(example.tokens) - 1] = example.tokens[1:]
            supervised[at, start : start + len(example.tokens) - 1] = example.supervised[1:]
            places[at, start:end] = np.arange(end - start)
            start = end
        # What is filled up counts as one more example.
        places[at, start:] = np.arange(width - start)
    return _batch(inputs, following, supervised, places)


def _batch(
    inputs: npt.NDArray[np.int64],
    following: npt.NDArray[np.int64],
    supervised: npt.NDArray[np.bool_],
    places: npt.NDArray[np.int64] | None = None,
) -> Batch:
    chosen = np.flatnonzero(supervised)
    filling = -len(chosen) % _TARGET_MULTIPLE
    targets = following.reshape(-1)[chosen]
    return Batch(
        inputs=torch.from_numpy(np.ascontiguousarray(inputs)),
        positions=torch.from_numpy(np.pad(chosen, (0, filling))),
        targets=torch.from_numpy(np.pad(targets, (0, filling), constant_values=_NO_TARGET)),
        position_ids=None if places is None else torch.from_numpy(places),
    )
