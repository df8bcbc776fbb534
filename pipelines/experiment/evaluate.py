"""Evaluate one model: play it, judge it, and keep what was seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import orjson
from pydantic import BaseModel, ConfigDict

from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.judging import judge_stored, summarize
from pipelines.experiment.play import episode_shards, play_episodes
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec_evaluation import Evaluation, HostedModel
from pipelines.experiment.steps import EvaluationStep
from pipelines.outputs import Output

SUMMARY_FILE = "evaluation.json"


class EvaluationSummary(BaseModel):
    """What an evaluation came to: ``evaluation.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    planned: int
    """Episodes that the file asks for."""
    played: int
    """Episodes that were played."""
    stopped: bool
    """Whether the stop rule ended it before the last planned episode."""
    unscored: int
    """Episodes without a score."""
    model_revisions: dict[str, int]
    """Episodes by what the model's host said it answered with, as far as it said so."""


async def evaluate_model(
    step: EvaluationStep,
    output: Output,
    *,
    settings: Evaluation,
    rooms: Rooms,
    host: ModelHost,
    advance: Callable[[int], None],
) -> None:
    """Play and judge the model of ``step``; ``output`` holds episodes and verdicts.

    Episodes are committed in shards, so that a killed run plays none of them twice.

    Args:
        step: what to evaluate.
        output: where episodes and verdicts go; complete when this returns.
        settings: suites, draws and sampling.
        rooms: rollout and judge are asked.
        host: hosts the checkpoint meanwhile and is told when it is done; not asked for a model
            that somebody hosts.
        advance: told the number of episodes so far.

    Raises:
        ModelNotEvaluated: a model that somebody hosts did not answer.
    """
    is_stopped = await play_episodes(
        step, output, settings=settings, rooms=rooms, host=host, advance=advance
    )
    summary = await _judge_all(step, output, settings, rooms, is_stopped=is_stopped)
    if not isinstance(step.subject, HostedModel):
        await host.unload(step.model)
    await asyncio.to_thread(
        output.publish,
        kind="evaluation",
        digest=step.digest,
        parameters={
            "arm": step.arm,
            "seed": step.seed,
            "tokens": step.tokens,
            "endpoint": step.endpoint,
            "model": step.model,
            **({"occasion": step.occasion} if step.occasion else {}),
            **settings.of_episodes(),
        },
        inputs={} if isinstance(step.subject, HostedModel) else {"checkpoint": step.subject.digest},
        counts={
            "planned": summary.planned,
            "episodes": summary.played,
            "stopped": int(summary.stopped),
            "unscored": summary.unscored,
        },
        files={
            SUMMARY_FILE: orjson.dumps(summary.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
        },
        written=await asyncio.to_thread(output.file_names),
    )


def read_summary(output: Output) -> EvaluationSummary:
    """Read what a complete evaluation came to."""
    return EvaluationSummary.model_validate_json(output.read(SUMMARY_FILE))


async def _judge_all(
    step: EvaluationStep, output: Output, settings: Evaluation, rooms: Rooms, *, is_stopped: bool
) -> EvaluationSummary:
    """Have the ledger layer judge every episode; return what the evaluation came to."""
    await judge_stored(output, output, rubric=settings.rubric, panel=None, rooms=rooms)
    judged = await asyncio.to_thread(summarize, output, has_panel=False)
    return EvaluationSummary(
        planned=step.episodes,
        played=judged.episodes,
        stopped=is_stopped,
        unscored=judged.unscored,
        model_revisions=await asyncio.to_thread(_revisions, output),
    )


def _revisions(output: Output) -> dict[str, int]:
    found: Counter[str] = Counter()
    for shard in episode_shards(output):
        found.update(each for episode in shard for each in episode.model_revisions)
    return dict(sorted(found.items()))
