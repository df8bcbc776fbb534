"""The diversity gate: varied datasets pass, and each kind of sameness is named with its words."""

from collections.abc import Callable

import pytest

from services.dataset.gates.names import personal_names
from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import GateName
from services.dataset.gates.settings import AuditSettings, DiversityGate
from tests.dataset.gate_examples import (
    assistant,
    audited,
    chat,
    document,
    gate,
    measure,
    user,
    varied,
    varied_text,
)

DIVERSITY = AuditSettings(diversity=DiversityGate())


async def test_varied_texts_pass() -> None:
    report = await audited(varied(200), DIVERSITY)

    assert report.passed
    assert report.kept == 200


def _same_words(index: int) -> AuditedExample:
    return document(f"{index} one two three four five six seven " * 10, index)


def _same_opening(index: int) -> AuditedExample:
    return document(f"I hear you. {varied_text(index)}", index)


def _same_prompt(index: int) -> AuditedExample:
    return chat(
        user(f"My boss wants {varied_text(index)}"), assistant(varied_text(-index)), index=index
    )


def _same_name(index: int) -> AuditedExample:
    return document(f"{varied_text(index)} and then Elena Chen said {varied_text(-index)}", index)


def _same_phrase(index: int) -> AuditedExample:
    text = f"{varied_text(index)} what matters most here is honesty {varied_text(-index)}"
    return document(text, index)


@pytest.mark.parametrize(
    ("make", "name", "evidence"),
    [
        (_same_words, "distinct_2", "word pairs are distinct"),
        (_same_opening, "same_opening_share", 'the opening "i hear you" in 200 of 200'),
        (_same_prompt, "same_prompt_opening_share", 'the opening "my boss wants" in 200'),
        (_same_name, "same_name_share", 'the name "Chen" in 200 of 200'),
        (_same_phrase, "same_phrase_share", 'the phrase "what matters most here is honesty" in'),
    ],
)
async def test_each_kind_of_sameness_fails_the_gate_and_is_shown(
    make: Callable[[int], AuditedExample], name: str, evidence: str
) -> None:
    report = await audited(map(make, range(200)), DIVERSITY)

    diversity = gate(report, GateName.DIVERSITY)
    (found,) = (each for each in diversity.measures if each.name == name)
    assert not found.passed
    assert evidence in found.evidence
    assert evidence in diversity.explanation
    assert report.dropped == ()


async def test_turns_of_phrase_are_reported_without_a_limit() -> None:
    examples = [
        document(f"{varied_text(i)} It\u2019s important to note this.", i) for i in range(9)
    ]

    report = await audited(examples, DIVERSITY)

    assert measure(gate(report, GateName.DIVERSITY), "tic_share") == 1


async def test_a_sample_is_measured_of_a_large_dataset_and_the_order_does_not_matter() -> None:
    forwards = await audited(varied(3000), DIVERSITY)
    backwards = await audited(reversed(varied(3000)), DIVERSITY)

    assert gate(forwards, GateName.DIVERSITY).checked == 3000
    assert "of 2000" in gate(forwards, GateName.DIVERSITY).measures[1].evidence
    assert gate(forwards, GateName.DIVERSITY) == gate(backwards, GateName.DIVERSITY)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Yesterday Marcus said no. The clerk heard Marcus Webb.", {"Marcus", "Webb"}),
        ("I asked Dr. Okafor about it.", {"Okafor"}),
        ("My manager Priya's plan is old, and so is the one of Priya.", {"Priya"}),
        ("In March the English Parliament met in London.", set()),
        ("The word Honesty is written large, but honesty said little.", set()),
        ("Then Claude said that Anthropic agrees.", set()),
        ("He wrote to NASA and asked.", set()),
    ],
)
def test_personal_names_are_told_from_other_capitals(text: str, names: set[str]) -> None:
    assert set(personal_names([text]).texts_by_name) == names
