"""Every metric of the judge room."""

from prometheus_client import Counter

from services.judge.verdict import GraderError, Refusal, Score, Verdict

VERDICTS = Counter(
    "teachwhy_judge_verdicts_total",
    "Verdicts given, by rubric and by conduct, refusal or reason of the grader error.",
    ["rubric", "outcome"],
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
