"""The duplicates gate: near-copies go, the first stays, at the similarity that was asked for."""

from random import Random

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from services.dataset.gates.band_index import BandIndex
from services.dataset.gates.duplicates import GRAM_WORDS, NUM_PERMUTATIONS, Duplicates
from services.dataset.gates.grams import WordBytes, gram_hashes
from services.dataset.gates.reading import Reading
from services.dataset.gates.report import GateName
from services.dataset.gates.settings import AuditSettings, DuplicateGate
from tests.dataset.gate_examples import WORDS, audited, document, gate, varied, varied_text

ALL = AuditSettings(duplicates=DuplicateGate(max_dropped_share=1.0))


def _changed(text: str, num_changed: int, seed: int) -> str:
    rng = Random(seed)
    words = text.split()
    for position in rng.sample(range(len(words)), num_changed):
        words[position] = rng.choice(WORDS)
    return " ".join(words)


async def test_a_copy_with_other_case_and_signs_is_dropped_and_the_first_is_kept() -> None:
    text = varied_text(1)
    examples = [document(varied_text(0), 3), document(text, 5), document(f"{text.upper()}!!", 9)]

    report = await audited(examples, ALL)

    (dropped,) = report.dropped
    assert (dropped.index, dropped.gate) == (9, GateName.DUPLICATES)
    assert "repeats example 5 (similarity about 1.00)" in dropped.detail


async def test_small_changes_do_not_hide_a_copy_and_large_ones_make_it_another_text() -> None:
    originals = [varied_text(i, 300) for i in range(40)]
    close = [document(_changed(text, 4, i), 100 + i) for i, text in enumerate(originals)]
    far = [document(_changed(text, 60, i), 200 + i) for i, text in enumerate(originals)]

    report = await audited([*map(document, originals, range(40)), *close, *far], ALL)

    assert [each.index for each in report.dropped] == [each.index for each in close]


@pytest.mark.parametrize("min_similarity", [0.3, 0.5, 0.9, 1.0])
async def test_pairs_above_the_threshold_are_found_at_every_threshold(
    min_similarity: float,
) -> None:
    settings = AuditSettings(
        duplicates=DuplicateGate(min_similarity=min_similarity, max_dropped_share=1.0)
    )
    originals = [varied_text(i, 300) for i in range(30)]
    copies = [document(f"{text}.", 30 + i) for i, text in enumerate(originals)]

    report = await audited([*map(document, originals, range(30)), *copies], settings)

    assert len(report.dropped) == 30


async def test_the_gate_fails_when_too_much_repeats_and_passes_when_little_does() -> None:
    examples = varied(80)
    copies = [document(varied_text(i), 80 + i) for i in range(21)]
    settings = AuditSettings(duplicates=DuplicateGate())

    fails = await audited([*examples, *copies], settings)
    passes = await audited([*examples, *copies[:20]], settings)

    assert not fails.passed
    assert "21 of 101 repeat" in gate(fails, GateName.DUPLICATES).explanation
    assert passes.passed


async def test_texts_of_few_words_repeat_only_when_they_are_equal() -> None:
    examples = [document("do it", 0), document("Do it.", 1), document("do not", 2)]

    report = await audited(examples, ALL)

    assert [each.index for each in report.dropped] == [1]


def test_signatures_are_those_of_the_library() -> None:
    reading = Reading.of(document(varied_text(3)))
    hashes = gram_hashes(reading.words, GRAM_WORDS).astype(np.uint32)
    expected = MinHash(NUM_PERMUTATIONS, seed=1, hashfunc=int, scheme="affine32")
    expected.update_batch(hashes.tolist())

    signature = Duplicates(DuplicateGate())._signature(reading.words)

    assert signature.tolist() == expected.hashvalues.tolist()


@given(st.lists(st.sampled_from(["a", "bc", "\u00e9", "def"]), min_size=1), st.integers(1, 7))
def test_equal_ngrams_have_equal_hashes_and_others_have_not(
    text_words: list[str], size: int
) -> None:
    size = min(size, len(text_words))
    grams = [tuple(text_words[i : i + size]) for i in range(len(text_words) - size + 1)]

    hashes = gram_hashes(WordBytes.of(" ".join(text_words)), size).tolist()

    assert len(hashes) == len(grams)
    assert len(set(zip(grams, hashes, strict=True))) == len(set(grams)) == len(set(hashes))


def test_the_index_finds_every_row_whether_it_is_recent_or_settled() -> None:
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 2**32, (20_000, 16), dtype=np.uint32)
    index = BandIndex(16, 4, most_rows=8)
    for row, signature in enumerate(signatures):
        index.add(index.keys(signature), row)

    for row in (0, 4095, 4096, 12_288, 19_999):
        changed = signatures[row].copy()
        changed[:12] = 0  # one band of four is left

        assert index.rows(index.keys(changed)) == [row]


def test_an_index_of_one_template_compares_with_a_bounded_number_of_rows() -> None:
    index = BandIndex(8, 2, most_rows=8)
    keys = index.keys(np.ones(8, np.uint32))
    for row in range(10_000):
        index.add(keys, row)

    assert index.rows(keys)[:8] == list(range(8))
    assert len(index.rows(keys)) <= 8 * 5
