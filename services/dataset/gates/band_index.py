"""An index of MinHash signatures by their bands, compact enough for a million examples.

New entries go into a dictionary, and from there into sorted arrays of doubling length: 12 bytes a
band and signature. Knows no example and no similarity.
"""

from collections.abc import Sequence
from hashlib import shake_256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROWS_IN_DICTIONARY = 4096
_SLOTS_PER_KEY = 8
_LEAST_BITS, _MOST_BITS = 16, 26
_SLOT_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class _Level(NamedTuple):
    keys: NDArray[np.uint64]
    rows: NDArray[np.uint32]


class BandIndex:
    """Finds the rows that share a band with a signature."""

    def __init__(self, num_permutations: int, rows_per_band: int, *, most_rows: int) -> None:
        """Cut signatures of `num_permutations` values into bands of `rows_per_band`.

        Of the rows that share one band, at least the first `most_rows` are found.
        """
        self._most_rows = most_rows
        self._num_bands = num_permutations // rows_per_band
        self._used = self._num_bands * rows_per_band
        # Fixed odd numbers, whatever the version of numpy draws.
        drawn = np.frombuffer(shake_256(b"band index").digest(8 * self._used), "<u8")
        self._factors = (drawn | np.uint64(1)).reshape(self._num_bands, rows_per_band)
        # The first row of a key, and the further ones, which are few: a list a key would be slow.
        self._first: dict[int, int] = {}
        self._further: dict[int, list[int]] = {}
        self._num_recent = 0
        self._levels: list[_Level] = []
        # Rules out nearly every key that is in no level by one look, and never by mistake.
        self._may_be_settled = np.zeros(1 << _LEAST_BITS, bool)

    def keys(self, signature: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Return one key a band. Bands have factors of their own, so keys of two differ."""
        values = signature[: self._used].astype(np.uint64).reshape(self._factors.shape)
        values ^= values << np.uint64(32)
        keys: NDArray[np.uint64] = (values * self._factors).sum(axis=1, dtype=np.uint64)
        return keys ^ (keys >> np.uint64(32))

    def rows(self, keys: NDArray[np.uint64]) -> Sequence[int]:
        """Return the rows that share a key, ascending."""
        found: set[int] = set()
        for key in keys.tolist():
            if key in self._first:
                found.add(self._first[key])
                found.update(self._further.get(key, ())[: self._most_rows - 1])
        settled = keys[self._may_be_settled[_slots(keys, len(self._may_be_settled))]]
        for level in self._levels if len(settled) else ():
            found.update(_rows_in(level, settled, self._most_rows))
        return sorted(found)

    def add(self, keys: NDArray[np.uint64], row: int) -> None:
        """Remember a row by its keys; rows come in ascending order."""
        for key in keys.tolist():
            if self._first.setdefault(key, row) != row:
                self._further.setdefault(key, []).append(row)
        self._num_recent += 1
        if self._num_recent == _ROWS_IN_DICTIONARY:
            self._settle()

    def _settle(self) -> None:
        pairs = list(self._first.items())
        pairs += [(key, row) for key, rows in self._further.items() for row in rows]
        keys = np.array([key for key, _ in pairs], np.uint64)
        rows = np.array([row for _, row in pairs], np.uint32)
        self._first, self._further, self._num_recent = {}, {}, 0
        level = _sorted(keys, rows)
        while self._levels and len(self._levels[-1].keys) <= len(level.keys):
            older = self._levels.pop()
            level = _sorted(
                np.concatenate((older.keys, level.keys)), np.concatenate((older.rows, level.rows))
            )
        self._levels.append(level)
        self._mark(keys)

    def _mark(self, keys: NDArray[np.uint64]) -> None:
        num_keys = sum(len(level.keys) for level in self._levels)
        if len(self._may_be_settled) < _SLOTS_PER_KEY * num_keys < 1 << _MOST_BITS:
            length = 1 << (_SLOTS_PER_KEY * num_keys).bit_length()
            self._may_be_settled = np.zeros(length, bool)
            keys = np.concatenate([level.keys for level in self._levels])
        self._may_be_settled[_slots(keys, len(self._may_be_settled))] = True


def _slots(keys: NDArray[np.uint64], num_slots: int) -> NDArray[np.uint64]:
    return (keys * _SLOT_FACTOR) >> np.uint64(65 - num_slots.bit_length())


def _sorted(keys: NDArray[np.uint64], rows: NDArray[np.uint32]) -> _Level:
    order = np.argsort(keys, kind="stable")
    return _Level(keys[order], rows[order])


def _rows_in(level: _Level, keys: NDArray[np.uint64], most_rows: int) -> list[int]:
    first = np.searchsorted(level.keys, keys)
    held = level.keys[np.minimum(first, len(level.keys) - 1)] == keys
    if not held.any():
        return []
    last = np.searchsorted(level.keys, keys[held], side="right")
    found: list[int] = []
    for start, stop in zip(first[held].tolist(), last.tolist(), strict=True):
        found += level.rows[start : min(stop, start + most_rows)].tolist()
    return found
