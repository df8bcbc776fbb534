"""The quality gate: low grades go, and no grade is never a good grade."""

import pytest

from services.dataset.gates.report import GateName
from services.dataset.gates.settings import AuditSettings, QualityGate
from services.dataset.grading import Grade
from services.servicekit.chat import ModelRef
from services.servicekit.errors import ModelUnavailable, NotConfigured
from tests.dataset.gate_examples import (
    WrittenJudge,
    audited,
    document,
    gate,
    graded,
    measure,
    varied,
)

JUDGE = ModelRef(model="judge")
QUALITY = AuditSettings(quality=QualityGate(judge_model=JUDGE))


def _settings(**values: float) -> AuditSettings:
    return AuditSettings(quality=QualityGate(judge_model=JUDGE, **values))  # type: ignore[arg-type]


async def test_examples_below_the_lowest_grade_are_dropped() -> None:
    examples = [document("poor"), document("just enough", 1), document("good", 2)]
    grades = {"poor": 5.9, "just enough": 6.0, "good": 9.0}
    judge = WrittenJudge(lambda text: graded(grades[text]))

    report = await audited(examples, _settings(max_dropped_share=0.4), grader=judge)

    (dropped,) = report.dropped
    assert (dropped.index, dropped.gate) == (0, GateName.QUALITY)
    assert dropped.detail == "graded 5.9, below 6"
    assert (report.kept, report.kept_tokens, report.passed) == (2, 200, True)


async def test_the_gate_fails_when_too_many_are_low() -> None:
    judge = WrittenJudge(lambda text: graded(1 if len(judge.graded) <= 31 else 8))

    report = await audited(varied(100), QUALITY, grader=judge)

    assert not report.passed
    assert measure(gate(report, GateName.QUALITY), "dropped_share") == pytest.approx(0.31)


@pytest.mark.parametrize(
    "grade",
    [
        Grade(values=None, refusal="I would rather not."),
        Grade(values=None, error="the reply was no JSON"),
        Grade(values={"deliberation": 9.0}),
    ],
)
async def test_what_has_no_grade_is_dropped_and_never_counts_as_good(grade: Grade) -> None:
    judge = WrittenJudge(lambda text: grade if len(judge.graded) <= 3 else graded(9))

    report = await audited(varied(100), QUALITY, grader=judge)

    quality = gate(report, GateName.QUALITY)
    assert [each.index for each in report.dropped] == [0, 1, 2]
    assert measure(quality, "ungraded_share") == pytest.approx(0.03)
    assert measure(quality, "mean_quality") == 9
    assert not report.passed
    assert "have no grade; the first:" in quality.explanation


async def test_without_a_judge_the_setting_is_named() -> None:
    with pytest.raises(NotConfigured) as caught:
        await audited(varied(1), QUALITY)

    assert caught.value.metadata == {"setting": "DATASET_JUDGE"}


async def test_a_judge_that_goes_away_ends_the_audit_and_does_not_hang_it() -> None:
    away = ModelUnavailable("default", "judge", "gone")
    judge = WrittenJudge(lambda text: away if len(judge.graded) > 5 else graded(9))

    with pytest.raises(ModelUnavailable):
        await audited(varied(1000), QUALITY, grader=judge)


async def test_a_sample_is_judged_as_a_share_and_nothing_is_dropped_for_it() -> None:
    judge = WrittenJudge(lambda text: graded(1 if len(judge.graded) % 2 else 9))

    report = await audited(varied(200), _settings(max_graded=50), grader=judge)

    assert len(judge.graded) == 50
    assert (report.kept, report.dropped) == (200, ())
    assert measure(gate(report, GateName.QUALITY), "dropped_share") == 0.5
    assert not report.passed


async def test_a_dataset_no_larger_than_the_sample_is_judged_whole() -> None:
    judge = WrittenJudge(lambda text: graded(1 if len(judge.graded) == 1 else 9))

    report = await audited(varied(50), _settings(max_graded=50), grader=judge)

    assert len(report.dropped) == 1
    assert report.kept == 49


async def test_the_same_sample_is_drawn_again() -> None:
    first, second = (WrittenJudge(lambda text: graded(9)) for _ in range(2))

    for judge in (first, second):
        await audited(varied(200), _settings(max_graded=20), grader=judge)

    assert first.graded == second.graded
