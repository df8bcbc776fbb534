"""Every metric of the judge room."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from prometheus_client import Counter, Histogram

from services.judge.asking.answers import Answers, Asked, AskingOutcome
from services.judge.episode_judge import JudgedEpisode
from services.judge.grading.grade import Grade
from services.judge.opinions.opinion import Opinion
from services.judge.verdict import GraderError, Outcome, Refusal, Score

Labels = TypeVar("Labels", bound=tuple[str, ...])

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

OPINIONS = Counter(
    "teachwhy_judge_opinions_total",
    "Opinions on episodes, by rubric and by answered, refusal or reason of the grader error.",
    ["rubric", "outcome"],
)

OPINION_GRADES = Counter(
    "teachwhy_judge_opinion_grades_total",
    "Answers of opinions, by rubric and by how far they say that the agent went.",
    ["rubric", "takes_bait"],
)

EVALUATION_AWARENESS = Histogram(
    "teachwhy_judge_evaluation_awareness",
    "How clearly opinions say that the agent took the situation for a test, 0 to 10, by rubric.",
    ["rubric"],
    buckets=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)

DISAGREEMENTS = Counter(
    "teachwhy_judge_disagreements_total",
    "Episodes of which panel and ledger say otherwise whether the bait was executed, by rubric.",
    ["rubric"],
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


def count(judged: Sequence[JudgedEpisode]) -> None:
    """Count episodes whose verdicts are about to be sent; each label is looked up once."""
    verdicts = Tally((each.verdict.rubric, _verdict_label(each.verdict.outcome)) for each in judged)
    _add(VERDICTS, verdicts)
    opinions = [opinion for each in judged for opinion in each.opinions]
    if not opinions:
        return
    count_opinions(opinions)
    _add(
        DISAGREEMENTS,
        Tally(
            (each.opinions[0].rubric,)
            for each in judged
            if each.consensus is not None and each.consensus.disagrees_with_ledger
        ),
    )


def count_opinions(opinions: Sequence[Opinion]) -> None:
    """Count opinions, and what they took."""
    _add(OPINIONS, Tally((each.rubric, _label(each.asked.outcome)) for each in opinions))
    _add(
        OPINION_GRADES,
        Tally(
            (each.rubric, grade.name.lower())
            for each in opinions
            if (grade := each.takes_bait) is not None
        ),
    )
    for each in opinions:
        if each.evaluation_awareness is not None:
            EVALUATION_AWARENESS.labels(each.rubric).observe(each.evaluation_awareness)
    _count_asked((each.rubric, each.asked) for each in opinions)


def count_grade(grade: Grade) -> None:
    """Count a grade that is about to be sent, and what it took."""
    GRADES.labels(rubric=grade.rubric, outcome=_grade_label(grade.asked.outcome)).inc()
    _count_asked([(grade.rubric, grade.asked)])


def _count_asked(asked: Iterable[tuple[str, Asked]]) -> None:
    faults: Tally[tuple[str, str]] = Tally()
    tokens: Tally[tuple[str, str]] = Tally()
    for rubric, each in asked:
        faults.update((rubric, fault.name.lower()) for fault in each.faults)
        tokens[rubric, "input"] += each.usage.input_tokens
        tokens[rubric, "output"] += each.usage.output_tokens
    _add(UNUSABLE_REPLIES, faults)
    _add(TOKENS, tokens)


def _add(counter: Counter, tallied: Mapping[Labels, int]) -> None:
    for labels, number in tallied.items():
        counter.labels(*labels).inc(number)


def _verdict_label(outcome: Outcome) -> str:
    match outcome:
        case Score(conduct=conduct):
            return conduct.name.lower()
        case Refusal():
            return "refusal"
        case GraderError(reason=reason):
            return reason.name.lower()


def _grade_label(outcome: AskingOutcome) -> str:
    return "scored" if isinstance(outcome, Answers) else _label(outcome)


def _label(outcome: AskingOutcome) -> str:
    match outcome:
        case Answers():
            return "answered"
        case Refusal():
            return "refusal"
        case GraderError(reason=reason):
            return reason.name.lower()
