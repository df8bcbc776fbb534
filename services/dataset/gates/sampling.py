"""Samples of fixed size that a stream's order does not change. Knows no gate."""

import heapq
from hashlib import blake2b
from typing import NamedTuple

from services.dataset.gates.reading import AuditedExample

_PRIORITY_BYTES = 8


class _Ranked(NamedTuple):
    rank: int
    """Larger goes first out of the sample; negated, as heapq keeps the smallest on top."""
    arrival: int
    example: AuditedExample


class Sample:
    """At most `size` examples, drawn evenly from those offered.

    An example's place depends on the seed and its index alone: the same examples make the same
    sample in whichever order they come.
    """

    def __init__(self, size: int, *, seed: str) -> None:
        self._size = size
        self._key = seed.encode()
        self._heap: list[_Ranked] = []
        self.num_offered = 0

    def offer(self, example: AuditedExample) -> None:
        """Take an example in, perhaps for another one."""
        self.num_offered += 1
        ranked = _Ranked(-self._priority(example), -self.num_offered, example)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, ranked)
        else:
            heapq.heappushpop(self._heap, ranked)

    @property
    def examples(self) -> list[AuditedExample]:
        """The sample, in the order of the draw."""
        return [ranked.example for ranked in sorted(self._heap, reverse=True, key=_rank)]

    def _priority(self, example: AuditedExample) -> int:
        drawn = blake2b(b"%d" % example.index, key=self._key, digest_size=_PRIORITY_BYTES)
        return int.from_bytes(drawn.digest(), "big")


def _rank(ranked: _Ranked) -> tuple[int, int]:
    return ranked.rank, ranked.arrival
