"""What one process computes of every planned batch. Knows no model.

Every process cuts every batch in the same way, so that nothing has to be agreed on while it
trains: all know how many parts there are and how many targets the whole batch has.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TypedDict

import torch

from pipelines.training.batches import Batch, padded_width
from pipelines.training.distributed import Group
from pipelines.training.material import Material

_EMPTY_WIDTH = 8
_EMPTY_TARGETS = 64
_NO_TARGET = -100


class Share(TypedDict):
    """A process's share of a batch, in the form that Trainer moves to a device."""

    parts: list[dict[str, torch.Tensor]]
    """Batches to compute one after another, as keyword arguments."""
    num_targets: int
    """Targets of the whole batch, over all processes."""


def divide(
    widths: Sequence[int], processes: int, micro_batch_tokens: int | None
) -> list[list[list[int]]]:
    """Cut the rows of a batch into parts.

    Args:
        widths: tokens of each row.
        processes: how many share the batch.
        micro_batch_tokens: what a part may hold, including padding; a longer row is a part of its
            own. None: everything.

    Returns:
        For each process, the rows of its parts. All processes get the same number of parts, of
        which some may be empty: what a process computes, the others wait for.
    """
    if processes == 1 and micro_batch_tokens is None:
        return [[list(range(len(widths)))]]
    ordered = sorted(range(len(widths)), key=lambda row: (widths[row], row))
    # Neighbours in length go to different processes, so that these have equally much to do.
    shares = [
        _parts(ordered[rank::processes], widths, micro_batch_tokens) for rank in range(processes)
    ]
    most = max(map(len, shares))
    return [[*share, *([[]] * (most - len(share)))] for share in shares]


def _parts(
    rows: Sequence[int], widths: Sequence[int], micro_batch_tokens: int | None
) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for row in rows:
        tokens = (len(parts[-1]) + 1) * padded_width(widths[row])
        if parts[-1] and micro_batch_tokens is not None and tokens > micro_batch_tokens:
            parts.append([])
        parts[-1].append(row)
    return parts


class Shares(torch.utils.data.Dataset[Share]):
    """One process's share of every batch of a plan."""

    def __init__(self, material: Material, group: Group, micro_batch_tokens: int | None) -> None:
        """Share the batches of a material among the processes of a group."""
        self._material = material
        self._group = group
        self._micro_batch_tokens = micro_batch_tokens

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._material.plan)

    def __getitem__(self, at: int) -> Share:
        """Collate this process's share of a batch."""
        material, rows = self._material, self._material.rows(at)
        return share_of(
            [material.width(row) for row in rows],
            lambda part: material.collate([rows[each] for each in part]),
            material.num_targets(at),
            group=self._group,
            micro_batch_tokens=self._micro_batch_tokens,
        )


def share_of(
    widths: Sequence[int],
    collate: Callable[[Sequence[int]], Batch],
    num_targets: int,
    *,
    group: Group,
    micro_batch_tokens: int | None,
) -> Share:
    """Collate a process's share of one batch.

    Args:
        widths: tokens of each row of the batch.
        collate: puts some of the rows together, given their numbers in the batch.
        num_targets: targets of the whole batch.
        group: who shares it.
        micro_batch_tokens: see ``divide``.
    """
    mine = divide(widths, group.size, micro_batch_tokens)[group.rank]
    batches = [collate(part) if part else _empty() for part in mine]
    return Share(parts=[_as_arguments(batch) for batch in batches], num_targets=num_targets)


def _empty() -> Batch:
    """Nothing to learn from, computed where others compute something."""
    return Batch(
        inputs=torch.zeros((1, _EMPTY_WIDTH), dtype=torch.int64),
        positions=torch.zeros(_EMPTY_TARGETS, dtype=torch.int64),
        targets=torch.full((_EMPTY_TARGETS,), _NO_TARGET, dtype=torch.int64),
    )


def _as_arguments(batch: Batch) -> dict[str, torch.Tensor]:
    named = {each.name: getattr(batch, each.name) for each in fields(batch)}
    return {name: value for name, value in named.items() if value is not None}
