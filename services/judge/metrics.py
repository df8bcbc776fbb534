"""Every metric of the judge room."""

from prometheus_client import Counter

from services.judge.grading.grade import Grade, TextScores
from services.judge.verdict import GraderError, Refusal, Score, Verdict

VERDICTS = Counter(
    "teachwhy_judge_verdicts_total",
    "Verdicts given, by rubric and by conduct, refusal or reason of the grader error.",
    ["rubric", "outcome"],
)

GRADES = Counter(
    "teachwhy_judge_grades_total",
    "Grades given to texts, by rubric and by scored, refusal or reason of the grader error.",
    ["rubric", "outcome"],
)

UNUSABLE_REPLIES = Counter(
    "teachwhy_judge_unusable_replies_total",
    "Replies of judge models that could not be used, by rubric and by what was wrong with them.",
    ["rubric", "fault"],
)

TOKENS = Counter(
    "teachwhy_judge_tokens_total",
    "Tokens of judge models, by rubric and by input or output; kept replies count again.",
    ["rubric", "direction"],
)


def count(verdict: Verdict) -> None:
    """Count a verdict that is about to be sent."""
    VERDICTS.labels(rubric=verdict.rubric, outcome=_label(verdict)).inc()


def _label(verdict: Verdict) -> str:
    match verdict.outcome:
        case Score(conduct=conduct):
            return conduct.name.lower()
        case Refusal():
            return "refusal"
        case GraderError(reason=reason):
            return reason.name.lower()


def count_grade(grade: Grade) -> None:
    """Count a grade that is about to be sent, and what it took."""
    GRADES.labels(rubric=grade.rubric, outcome=_grade_label(grade)).inc()
    for fault in grade.faults:
        UNUSABLE_REPLIES.labels(rubric=grade.rubric, fault=fault.name.lower()).inc()
    TOKENS.labels(rubric=grade.rubric, direction="input").inc(grade.usage.input_tokens)
    TOKENS.labels(rubric=grade.rubric, direction="output").inc(grade.usage.output_tokens)


def _grade_label(grade: Grade) -> str:
    match grade.outcome:
        case TextScores():
            return "scored"
        case Refusal():
            return "refusal"
        case GraderError(reason=reason):
            return reason.name.lower()
