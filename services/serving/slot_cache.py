"""Keys and values of the replies in progress, in one buffer per layer. Knows no model.

Every row ends at the same column, the cursor, so that one step writes one column for all and a
row that joins later is simply laid against the cursor. Compared with concatenation, a step
copies nothing. Shapes: S = slots, B = rows in use, H = heads, C = columns, D = head size.
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

_FIRST_ROWS = 8
_FIRST_COLUMNS = 128


class _SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call] # __init_subclass__
    """One layer's buffers [S, H, C, D], of which a step sees [B, H, window, D]."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.num_rows = 0
        self.first = 0
        self.cursor = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Fail: buffers are made by SlotCache.join."""
        raise NotImplementedError

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,
        **_kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one column [B, H, 1, D] at the cursor and return the window up to it."""
        end = self.cursor + 1
        self.keys[: self.num_rows, :, self.cursor : end] = key_states
        self.values[: self.num_rows, :, self.cursor : end] = value_states
        window = (slice(self.num_rows), slice(None), slice(self.first, end))
        return self.keys[window], self.values[window]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return (length, offset) of what a query of `query_length` tokens sees."""
        return self.cursor - self.first + query_length, 0

    def get_seq_length(self) -> int:
        """Return the number of columns in the window."""
        return self.cursor - self.first

    def get_max_length(self) -> int:
        """Return -1: the buffers grow."""
        return -1

    def resize(self, num_slots: int, num_columns: int, cursor: int) -> None:
        """Move the window so that it ends at `cursor` of new buffers."""
        width = self.cursor - self.first
        for name in ("keys", "values"):
            old: torch.Tensor = getattr(self, name)
            new = old.new_zeros((num_slots, old.shape[1], num_columns, old.shape[3]))
            new[: self.num_rows, :, cursor - width : cursor] = old[
                : self.num_rows, :, self.first : self.cursor
            ]
            setattr(self, name, new)
        self.cursor, self.first = cursor, cursor - width


class SlotCache(Cache):
    """The key-value cache of a batch that rows join and leave at any step."""

    def __init__(self, num_layers: int) -> None:
        """Hold nothing until the first rows join."""
        self._slots = [_SlotLayer() for _ in range(num_layers)]
        super().__init__(layers=[*self._slots])
        self._num_slots = 0
        self._num_columns = 0
        self.num_rows = 0
        self._cursor = 0
        self._width = 0

    def join(self, prompts: DynamicCache, num_rows: int, num_columns: int) -> None:
        """Append rows whose prompts were computed apart, left-padded to `num_columns`."""
        if self.num_rows == 0:
            self._cursor = self._width = 0
        self._reserve(prompts, self.num_rows + num_rows, max(num_columns, self._cursor))
        rows = slice(self.num_rows, self.num_rows + num_rows)
        columns = slice(self._cursor - num_columns, self._cursor)
        for layer, (keys, values) in zip(self._slots, _layers(prompts), strict=True):
            layer.keys[rows, :, columns] = keys
            layer.values[rows, :, columns] = values
        self.num_rows += num_rows
        self._width = max(self._width, num_columns)

    def open_step(self, width: int) -> None:
        """Make room for one more column and show each layer the last `width` columns."""
        self._width = width
        if self._cursor == self._num_columns:
            self._show()
            fits = 2 * width <= self._num_columns
            self._resize(self._num_slots, self._num_columns * (1 if fits else 2), width)
        self._show()

    def close_step(self) -> None:
        """Count the column that the step has written."""
        self._cursor += 1
        self._width += 1

    def leave(self, row: int) -> None:
        """Drop a row; the last row takes its place."""
        self.num_rows -= 1
        if row != self.num_rows:
            for layer in self._slots:
                layer.keys[row].copy_(layer.keys[self.num_rows])
                layer.values[row].copy_(layer.values[self.num_rows])

    def _reserve(self, prompts: DynamicCache, num_rows: int, cursor: int) -> None:
        if self._num_slots == 0:
            for layer, (keys, values) in zip(self._slots, _layers(prompts), strict=True):
                layer.keys = keys[:0, :, :0]
                layer.values = values[:0, :, :0]
        num_slots, num_columns = max(self._num_slots, _FIRST_ROWS), self._num_columns
        num_columns = max(num_columns, _FIRST_COLUMNS)
        while num_slots < num_rows:
            num_slots *= 2
        while num_columns < cursor:
            num_columns *= 2
        grown = (num_slots, num_columns) != (self._num_slots, self._num_columns)
        if grown or cursor != self._cursor:
            self._show()
            self._resize(num_slots, num_columns, cursor)

    def _resize(self, num_slots: int, num_columns: int, cursor: int) -> None:
        for layer in self._slots:
            layer.resize(num_slots, num_columns, cursor)
        self._num_slots, self._num_columns, self._cursor = num_slots, num_columns, cursor

    def _show(self) -> None:
        for layer in self._slots:
            layer.num_rows = self.num_rows
            layer.cursor = self._cursor
            layer.first = self._cursor - self._width


def _layers(prompts: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(layer.keys, layer.values) for layer in prompts.layers]  # type: ignore[union-attr, misc]
