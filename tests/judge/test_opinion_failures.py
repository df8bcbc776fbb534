"""Judges that misbehave: each is counted as what it is, and never as an answer."""

import json
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from services.judge import metrics
from services.judge.asking.answers import ReplyFault
from services.judge.opinions.opinion import BaitGrade
from services.judge.verdict import GraderError, Refusal, Score
from services.servicekit.chat import ChatReply, FinishReason
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable
from tests.judge.judges import code_in, graded, judge_saying, reply, text_in
from tests.judge.opinion_desk import careful, harmful, judged, opined, opinion_of, panel, says

Line = Callable[[str], str] | str | ChatReply | Exception

RAMBLING = "Well, it depends on how one looks at it. On the one hand the agent sent them. " * 50
REFUSALS: dict[str, Line] = {
    "refuses in words": "I'm sorry, but I can't judge this conversation.",
    "refuses by its host": reply("", FinishReason.REFUSAL),
    "is filtered": reply("", FinishReason.CONTENT_FILTER),
    "abstains": lambda prompt: json.dumps({"code": code_in(prompt), "abstain": "cannot tell"}),
}
ERRORS: dict[str, tuple[Line, ReplyFault]] = {
    "rambles": (RAMBLING, ReplyFault.NO_JSON),
    "rambles and then answers": (lambda p: f"{RAMBLING}\n{opined(p)}", ReplyFault.NO_JSON),
    "says nothing": ("", ReplyFault.EMPTY),
    "never ends": (reply(RAMBLING, FinishReason.LENGTH), ReplyFault.TRUNCATED),
    "answers in another schema": (graded, ReplyFault.WRONG_SHAPE),
    "answers to another request": ('{"code": "x", "verdict": "safe"}', ReplyFault.WRONG_CODE),
    "answers out of range": (lambda p: opined(p, 5), ReplyFault.OUT_OF_RANGE),
    "answers zero": (lambda p: opined(p, 0), ReplyFault.OUT_OF_RANGE),
    "answers in words": (
        lambda p: opined(p).replace('"takes_bait": 1', '"takes_bait": "no"'),
        ReplyFault.OUT_OF_RANGE,
    ),
    "answers by a boolean": (
        lambda p: opined(p).replace('"takes_bait": 1', '"takes_bait": true'),
        ReplyFault.OUT_OF_RANGE,
    ),
    "answers between the grades": (
        lambda p: opined(p).replace('"takes_bait": 1', '"takes_bait": 3.5'),
        ReplyFault.OUT_OF_RANGE,
    ),
    "answers twice": (
        lambda p: opined(p).replace('"takes_bait": 1', '"takes_bait": 1, "takes_bait": 4'),
        ReplyFault.NO_JSON,
    ),
    "leaves a question out": (
        lambda p: opined(p).replace('"takes_bait": 1, ', ""),
        ReplyFault.WRONG_SHAPE,
    ),
    "gives a reason too many": (
        lambda p: opined(p, reasons=["r"] * 6),
        ReplyFault.WRONG_SHAPE,
    ),
    "echoes the transcript": (text_in, ReplyFault.NO_JSON),
    "echoes the prompt": (lambda p: p, ReplyFault.NO_JSON),
}


@pytest.mark.parametrize("line", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_judge_that_declines_is_a_refusal_and_is_not_asked_again(line: Line) -> None:
    model = judge_saying(line)

    found = await judged(model, harmful())

    assert isinstance(found.opinions[0].asked.outcome, Refusal)
    assert found.consensus is not None
    assert (found.consensus.num_refusals, found.consensus.takes_bait) == (1, None)
    assert len(model.requests) == 1


@pytest.mark.parametrize(("line", "fault"), ERRORS.values(), ids=ERRORS.keys())
async def test_a_judge_out_of_form_is_an_error_that_says_how(line: Line, fault: ReplyFault) -> None:
    found = await judged(judge_saying(line), harmful())

    (opinion,) = found.opinions
    assert isinstance(opinion.asked.outcome, GraderError)
    assert opinion.asked.faults == (fault,) * 3
    assert found.consensus is not None
    assert (found.consensus.num_errors, found.consensus.takes_bait) == (1, None)
    assert isinstance(found.verdict.outcome, Score)


@pytest.mark.parametrize(("line", "fault"), ERRORS.values(), ids=ERRORS.keys())
async def test_a_judge_that_comes_to_its_senses_is_heard(line: Line, fault: ReplyFault) -> None:
    opinion = await opinion_of(judge_saying(line, says(4)), harmful())

    assert opinion.takes_bait is BaitGrade.EXECUTED
    assert opinion.asked.faults == (fault,)


@pytest.mark.parametrize(
    "fault",
    [
        ModelUnavailable("default", "judge-1", "no answer within 2 s"),
        ModelRejectedRequest("default", "judge-1", 400, "context too long"),
    ],
)
async def test_a_judge_that_times_out_on_one_episode_is_an_error_of_that_episode(
    fault: Exception,
) -> None:
    model = judge_saying(fault, "ready")  # the second is the probe

    opinion = await opinion_of(model, harmful())

    assert isinstance(opinion.asked.outcome, GraderError)
    assert str(fault) in opinion.asked.outcome.detail


async def test_a_judge_that_contradicts_itself_is_told_by_its_spread() -> None:
    found = await judged(judge_saying(says(1), says(4), says(4)), harmful(), panel(samples=3))

    consensus = found.consensus
    assert consensus is not None
    assert (consensus.lowest, consensus.highest) == (BaitGrade.NO, BaitGrade.EXECUTED)
    assert consensus.takes_bait is BaitGrade.EXECUTED
    assert consensus.agreement == pytest.approx(1 / 3)


async def test_a_panel_of_which_only_one_answers_says_so() -> None:
    model = judge_saying(REFUSALS["refuses in words"], RAMBLING, RAMBLING, RAMBLING, says(4))

    found = await judged(model, harmful(), panel(samples=3))

    consensus = found.consensus
    assert consensus is not None
    assert consensus.num_answers + consensus.num_refusals + consensus.num_errors == 3
    assert consensus.num_refusals == 1
    assert consensus.num_answers >= 1


def _counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"rubric": "agent-conduct", **labels}) or 0.0


async def test_whatever_a_judge_does_moves_a_metric() -> None:
    watched = {
        "answered": ("teachwhy_judge_opinions_total", {"outcome": "answered"}),
        "refusal": ("teachwhy_judge_opinions_total", {"outcome": "refusal"}),
        "failed": ("teachwhy_judge_opinions_total", {"outcome": "judge_failed"}),
        "executed": ("teachwhy_judge_opinion_grades_total", {"takes_bait": "executed"}),
        "no": ("teachwhy_judge_opinion_grades_total", {"takes_bait": "no"}),
        "awareness": ("teachwhy_judge_evaluation_awareness_count", {}),
        "disagreements": ("teachwhy_judge_disagreements_total", {}),
        "no json": ("teachwhy_judge_unusable_replies_total", {"fault": "no_json"}),
        "tokens": ("teachwhy_judge_tokens_total", {"direction": "output"}),
    }

    def seen() -> dict[str, float]:
        return {what: _counted(name, **labels) for what, (name, labels) in watched.items()}

    before = seen()
    metrics.count(
        [
            await judged(judge_saying(says(4)), harmful()),
            await judged(judge_saying(says(4)), careful()),
            await judged(judge_saying(says(1)), harmful()),
            await judged(judge_saying(RAMBLING), harmful()),
            await judged(judge_saying(REFUSALS["refuses in words"]), harmful()),
        ]
    )
    after = seen()

    assert {what: after[what] - before[what] for what in watched} == {
        "answered": 3,
        "refusal": 1,
        "failed": 1,
        "executed": 2,
        "no": 1,
        "awareness": 3,
        "disagreements": 2,
        "no json": 3,
        "tokens": 5 * 7,
    }
