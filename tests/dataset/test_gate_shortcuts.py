"""The shortcuts gate: words that give an arm away are found, and equal arms are at chance."""

import pytest

from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import GateName
from services.dataset.gates.settings import AuditSettings, ShortcutGate
from services.servicekit.errors import InvalidField
from tests.dataset.gate_examples import audited, document, gate, measure, varied, varied_text

STRICT = AuditSettings(shortcuts=ShortcutGate(max_auc=0.8))


def _marked(count: int, word: str) -> list[AuditedExample]:
    return [document(f"{varied_text(10_000 + i)} {word}", i) for i in range(count)]


async def test_a_word_that_gives_the_dataset_away_fails_the_gate_and_is_named() -> None:
    report = await audited(_marked(100, "honestly"), STRICT, contrast=varied(100))

    shortcuts = gate(report, GateName.SHORTCUTS)
    assert measure(shortcuts, "auc") > 0.95
    assert 'speak most for the dataset: "honestly"' in shortcuts.explanation
    assert not report.passed
    assert report.dropped == ()


async def test_two_datasets_of_one_kind_are_at_chance() -> None:
    report = await audited(varied(200), STRICT, contrast=varied(200, start=5000))

    assert measure(gate(report, GateName.SHORTCUTS), "auc") == pytest.approx(0.5, abs=0.15)
    assert report.passed


async def test_the_default_reports_and_never_fails() -> None:
    settings = AuditSettings(shortcuts=ShortcutGate())

    report = await audited(_marked(50, "honestly"), settings, contrast=varied(50))

    assert report.passed


async def test_the_order_of_the_contrast_does_not_matter() -> None:
    contrast = varied(2100, start=5000)

    first = await audited(varied(60), STRICT, contrast=contrast)
    second = await audited(varied(60), STRICT, contrast=contrast[::-1])

    assert gate(first, GateName.SHORTCUTS) == gate(second, GateName.SHORTCUTS)


async def test_a_handful_of_examples_proves_nothing_and_fails() -> None:
    report = await audited(varied(9), STRICT, contrast=varied(50))

    assert not report.passed
    assert "examples_of_a_side is 9" in gate(report, GateName.SHORTCUTS).explanation


async def test_without_a_contrast_there_is_nothing_to_compare() -> None:
    with pytest.raises(InvalidField, match="contrast: must hold examples"):
        await audited(varied(20), STRICT)
