"""The contamination gate: hashed n-grams and canaries of held-out scenarios.

Sees hashes only; what the held-out scenarios say, it does not know.
"""

import numpy as np

from services.dataset.gates.grams import WordBytes
from services.dataset.gates.reading import Reading
from services.dataset.gates.report import GateMeasure, GateName, GateReport, explain, share_measure
from services.dataset.gates.settings import ContaminationGate
from services.servicekit.ngrams import ngram_digests

_LEAST_BITS, _MOST_BITS, _SPARE_BITS = 10, 25, 5


class Contamination:
    """Drops what shares n-grams with held-out scenarios, or holds a canary."""

    def __init__(self, settings: ContaminationGate) -> None:
        self._settings = settings
        self._held_out = np.unique(np.array(settings.filter.ngram_hashes, "<u8"))
        # Nearly every n-gram is ruled out by one look at its first bits, and never by mistake.
        bits = min(_MOST_BITS, max(_LEAST_BITS, len(self._held_out).bit_length() + _SPARE_BITS))
        self._shift = np.uint64(64 - bits)
        self._may_be_held_out = np.zeros(1 << bits, bool)
        self._may_be_held_out[self._held_out >> self._shift] = True
        self._checked = 0
        self._sharing = 0
        self._with_canary = 0

    def fault(self, reading: Reading) -> str | None:
        """Return how an example touches held-out scenarios, or None. Never quotes them."""
        self._checked += 1
        tools = reading.example.tools_text
        held_out = self._settings.filter
        if any(canary in reading.text or canary in tools for canary in held_out.canaries):
            self._with_canary += 1
            return "holds a canary of the held-out scenarios"
        shared = self._num_shared(reading.words)
        if tools:
            shared += sum(self._num_shared(WordBytes.of(line)) for line in tools.split("\n"))
        if shared <= self._settings.max_shared_ngrams:
            return None
        self._sharing += 1
        return f"shares {shared} {held_out.ngram_words}-word n-grams with held-out scenarios"

    def report(self) -> GateReport:
        """Say how many were dropped."""
        held_out = self._settings.filter
        dropped = self._sharing + self._with_canary
        measures = (
            share_measure(
                "dropped_share",
                dropped,
                self._checked,
                most=self._settings.max_dropped_share,
                what=f"hold text of held-out scenarios, {self._sharing} by n-grams",
            ),
            GateMeasure(
                name="examples_with_canary",
                value=self._with_canary,
                max=0.0,
                evidence=f"{self._with_canary} of {self._checked} hold one of "
                f"{len(held_out.canaries)} canaries",
            ),
        )
        return GateReport(
            gate=GateName.CONTAMINATION,
            ran=True,
            checked=self._checked,
            dropped=dropped,
            measures=measures,
            explanation=explain(
                measures,
                well=f"{self._checked - dropped} examples were compared with "
                f"{len(self._held_out)} hashed n-grams of {held_out.ngram_words} words and "
                "are clear of them.",
                advice="Find out how the author came to see held-out scenarios, and write the "
                "dataset anew.",
            ),
        )

    def _num_shared(self, text_words: WordBytes) -> int:
        digests = ngram_digests(
            text_words.joined,
            self._settings.filter.ngram_words,
            gaps=text_words.gaps.tolist(),
        )
        hashes = np.frombuffer(b"".join(digests), "<u8")
        suspects = hashes[self._may_be_held_out[hashes >> self._shift]]
        places = np.searchsorted(self._held_out, suspects)
        places[places == len(self._held_out)] = 0
        return len(set(suspects[self._held_out[places] == suspects].tolist())) if len(places) else 0
