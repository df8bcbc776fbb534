"""The diversity gate: whether a dataset says one thing in one way, measured on a sample."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.dataset.gates.grams import WordBytes, gram_hashes
from services.dataset.gates.names import personal_names
from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import GateMeasure, GateName, GateReport, explain
from services.dataset.gates.sampling import Sample
from services.dataset.gates.settings import DiversityGate
from services.dataset.gates.tics import tics_in

SAMPLE_SIZE = 2000
"""Examples that are measured, of a dataset that has more."""
MOST_PAIRS = 100_000
"""Word pairs that distinct-2 looks at: the share falls as a text grows, so the size is fixed."""
OPENING_WORDS = 3
PHRASE_WORDS = 6

_TICS_SHOWN = 3


class Diversity:
    """Measures words, openings, names, phrases and tics."""

    def __init__(self, settings: DiversityGate) -> None:
        self._settings = settings
        self._sample = Sample(SAMPLE_SIZE, seed="diversity")

    def offer(self, example: AuditedExample) -> None:
        """Take an example into account."""
        self._sample.offer(example)

    def report(self) -> GateReport:
        """Measure the sample."""
        measures = self._measures(self._sample.examples)
        return GateReport(
            gate=GateName.DIVERSITY,
            ran=True,
            checked=self._sample.num_offered,
            measures=measures,
            explanation=explain(
                measures,
                well=f"A sample of {min(self._sample.num_offered, SAMPLE_SIZE)} examples is varied "
                "in words, openings, names and phrases.",
                advice="Vary types, styles and openings in the prompts, and ban what repeats.",
            ),
        )

    def _measures(self, sample: Sequence[AuditedExample]) -> tuple[GateMeasure, ...]:
        settings = self._settings
        trained = [example.trained_text for example in sample]
        trained_words = [WordBytes.of(text) for text in trained]
        prompts = [prompt for prompt in (example.prompt for example in sample) if prompt]
        measures = [
            _distinct_pairs(trained_words, least=settings.min_distinct_2),
            _same_opening(
                "same_opening_share", trained_words, most=settings.max_same_opening_share
            ),
        ]
        if prompts:
            prompt_words = [WordBytes.of(prompt) for prompt in prompts]
            most = settings.max_same_opening_share
            measures.append(_same_opening("same_prompt_opening_share", prompt_words, most=most))
        names = personal_names(example.text for example in sample).texts_by_name
        most = settings.max_same_name_share
        measures.append(_most_frequent("same_name_share", names, len(sample), "the name", most))
        measures.append(_same_phrase(trained_words, most=settings.max_same_phrase_share))
        measures.append(_tics(trained))
        return tuple(measures)


def _distinct_pairs(texts: Iterable[WordBytes], *, least: float) -> GateMeasure:
    hashes: list[NDArray[np.uint64]] = []
    total = 0
    for text_words in texts:
        if text_words.num_words > 1 and total < MOST_PAIRS:
            hashes.append(gram_hashes(text_words, 2)[: MOST_PAIRS - total])
            total += len(hashes[-1])
    distinct = len(np.unique(np.concatenate(hashes))) if hashes else 0
    return GateMeasure(
        name="distinct_2",
        value=distinct / total if total else 0.0,
        min=least,
        evidence=f"{distinct} of {total} word pairs are distinct"
        + ("" if total == MOST_PAIRS else f"; fewer than {MOST_PAIRS} pairs flatter the share"),
    )


def _same_opening(name: str, texts: Sequence[WordBytes], *, most: float) -> GateMeasure:
    openings = Counter(text_words.gram(0, OPENING_WORDS) for text_words in texts)
    return _most_frequent(name, openings, len(texts), "the opening", most)


def _most_frequent(
    name: str, counts: Counter[str], whole: int, what: str, most: float
) -> GateMeasure:
    # Ties go to the first in the alphabet, so that the evidence does not hang on the order.
    found, count = min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    return GateMeasure(
        name=name,
        value=count / whole if whole else 0.0,
        max=most,
        evidence=f'{what} "{found}" in {count} of {whole}' if count else f"none in {whole}",
    )


def _same_phrase(texts: Sequence[WordBytes], *, most: float) -> GateMeasure:
    by_text = [
        np.unique(gram_hashes(text_words, PHRASE_WORDS))
        for text_words in texts
        if text_words.num_words >= PHRASE_WORDS
    ]
    counts: Counter[str] = Counter()
    if by_text:
        hashes, frequencies = np.unique(np.concatenate(by_text), return_counts=True)
        most_frequent = hashes[frequencies.argmax()]
        counts[_phrase(texts, most_frequent)] = int(frequencies.max())
    return _most_frequent("same_phrase_share", counts, len(texts), "the phrase", most)


def _phrase(texts: Iterable[WordBytes], phrase_hash: np.uint64) -> str:
    for text_words in texts:
        found = np.flatnonzero(gram_hashes(text_words, PHRASE_WORDS) == phrase_hash)
        if len(found) and text_words.num_words >= PHRASE_WORDS:
            return text_words.gram(int(found[0]), PHRASE_WORDS)
    raise LookupError("the phrase was counted in one of the texts")


def _tics(texts: Sequence[str]) -> GateMeasure:
    found = [tics_in(text) for text in texts]
    holding = sum(1 for tics in found if tics)
    counts = Counter(tic for tics in found for tic in tics)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TICS_SHOWN]
    shown = ", ".join(f'"{tic}" in {count}' for tic, count in ranked)
    return GateMeasure(
        name="tic_share",
        value=holding / len(texts) if texts else 0.0,
        evidence=f"{holding} of {len(texts)} hold a known turn of phrase"
        + (f": {shown}" if shown else ""),
    )
