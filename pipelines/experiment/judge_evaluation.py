"""Carry out a judging step: a rubric, and a panel if there is one, over stored episodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from pipelines.experiment.judging import JudgingSummary, judge_stored, summarize
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.steps import JudgingStep
from pipelines.outputs import Output

SUMMARY_FILE = "judging.json"


async def judge_evaluation(
    step: JudgingStep,
    source: Output,
    output: Output,
    *,
    rooms: Rooms,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Judge the complete evaluation in ``source``; ``output`` holds verdicts with opinions.

    Raises:
        EpisodesNotJudged: the host of a judge answers nobody, or refuses everything.
    """
    await judge_stored(
        source, output, rubric=step.rubric, panel=step.panel, rooms=rooms, advance=advance
    )
    summary = await asyncio.to_thread(summarize, output, has_panel=step.panel is not None)
    counts = summary.model_dump(exclude={"judge_revisions"})
    await asyncio.to_thread(
        output.publish,
        kind="judging",
        digest=step.digest,
        parameters={
            "rubric": step.rubric,
            "panel": step.panel.model_dump(mode="json") if step.panel else None,
            "arm": step.evaluation.arm,
            "seed": step.evaluation.seed,
            "tokens": step.evaluation.tokens,
        },
        inputs={"episodes": step.evaluation.digest},
        counts=counts,
        files={
            SUMMARY_FILE: orjson.dumps(summary.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
        },
        written=await asyncio.to_thread(output.file_names),
    )


def read_judging(output: Output) -> JudgingSummary:
    """Read what a complete judging came to."""
    return JudgingSummary.model_validate_json(output.read(SUMMARY_FILE))
