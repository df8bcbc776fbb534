"""The duplicates gate: MinHash of word 5-grams, and an index of what was kept.

Signatures are those of datasketch's "affine32" scheme with its own permutations. They are applied
here to whole arrays, which takes a third of the time of its loop, and a test holds both together.
Its index keeps a Python set for each band and example, half a gigabyte at 100,000 examples;
`band_index` keeps arrays.
"""

from collections.abc import Sequence

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from services.dataset.gates.band_index import BandIndex
from services.dataset.gates.grams import WordBytes, gram_hashes
from services.dataset.gates.reading import Reading
from services.dataset.gates.report import GateMeasure, GateName, GateReport, explain, share_measure
from services.dataset.gates.settings import DuplicateGate

GRAM_WORDS = 5
NUM_PERMUTATIONS = 128
MIN_RECALL = 0.95
"""Chance at least with which a pair just at the threshold is compared at all."""
MOST_COMPARED = 512
"""Kept examples that one example is compared with, the earliest first: keeps datasets of one
template from taking quadratic time, at the price of some duplicates among them."""

_MINHASH_SEED = 1
_LONGEST_BAND = 16


class Duplicates:
    """Sees examples in ascending index and keeps the first of each."""

    def __init__(self, settings: DuplicateGate) -> None:
        self._settings = settings
        self._bands = BandIndex(
            NUM_PERMUTATIONS,
            _rows_per_band(settings.min_similarity),
            most_rows=MOST_COMPARED,
        )
        self._permutations = MinHash(
            NUM_PERMUTATIONS, seed=_MINHASH_SEED, scheme="affine32"
        ).permutations
        self._scratch = np.empty(0, np.uint32)
        self._signatures: list[NDArray[np.uint32]] = []
        self._indices: list[int] = []
        self._checked = 0

    def fault(self, reading: Reading) -> str | None:
        """Return what it repeats, or None and remember it."""
        self._checked += 1
        signature = self._signature(reading.words)
        keys = self._bands.keys(signature)
        row, similarity = self._closest(signature, self._bands.rows(keys))
        if row is not None and similarity >= self._settings.min_similarity:
            return f"repeats example {self._indices[row]} (similarity about {similarity:.2f})"
        self._bands.add(keys, len(self._signatures))
        self._signatures.append(signature)
        self._indices.append(reading.example.index)
        return None

    def report(self) -> GateReport:
        """Say how many were dropped."""
        dropped = self._checked - len(self._indices)
        measures: tuple[GateMeasure, ...] = (
            share_measure(
                "dropped_share",
                dropped,
                self._checked,
                most=self._settings.max_dropped_share,
                what="repeat an earlier example",
            ),
        )
        return GateReport(
            gate=GateName.DUPLICATES,
            ran=True,
            checked=self._checked,
            dropped=dropped,
            measures=measures,
            explanation=explain(
                measures,
                well=f"{len(self._indices)} examples differ from one another.",
                advice="Draw from more types, scenarios or clauses, or write fewer examples.",
            ),
        )

    def _signature(self, text_words: WordBytes) -> NDArray[np.uint32]:
        hashes = _premixed(gram_hashes(text_words, GRAM_WORDS).astype(np.uint32))
        factors, offsets = self._permutations
        # In memory that is there already: a fresh array of this size costs as much as the sums.
        size = NUM_PERMUTATIONS * len(hashes)
        if len(self._scratch) < size:
            self._scratch = np.empty(2 * size, np.uint32)
        permuted = self._scratch[:size].reshape(NUM_PERMUTATIONS, len(hashes))
        np.multiply(factors[:, np.newaxis], hashes, out=permuted)
        permuted += offsets[:, np.newaxis]
        signature: NDArray[np.uint32] = permuted.min(axis=1)
        return signature

    def _closest(
        self, signature: NDArray[np.uint32], rows: Sequence[int]
    ) -> tuple[int | None, float]:
        if not rows:
            return None, 0.0
        compared = rows[:MOST_COMPARED]
        stacked = np.stack([self._signatures[row] for row in compared])
        equal = np.count_nonzero(stacked == signature, axis=1)
        best = int(equal.argmax())
        return compared[best], float(equal[best]) / NUM_PERMUTATIONS


def _premixed(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    # The finalizer of MurmurHash3, with which datasketch's affine32 begins.
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


def _rows_per_band(min_similarity: float) -> int:
    """Return the longest bands with which a pair at the threshold is found nearly always."""
    lengths = range(_LONGEST_BAND, 0, -1)
    return next(rows for rows in lengths if _recall(min_similarity, rows) >= MIN_RECALL)


def _recall(similarity: float, rows: int) -> float:
    bands = NUM_PERMUTATIONS // rows
    return float(1 - (1 - similarity**rows) ** bands)
