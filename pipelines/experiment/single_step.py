"""Carry out one step of an experiment, as the containers of a pipeline do.

The order of the steps is somebody else's business; what a step needs must be there.
"""

from __future__ import annotations

import re
import time

from pipelines.experiment.play import num_shards
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.runner import ExperimentRunner, Finished
from pipelines.experiment.steps import EvaluationStep, Step, StepGraph, inputs_of
from pipelines.experiment.waves import Waves, waves_of

SHORTEST = 6
"""Fewest digits of a digest that name a step."""

MOST_SHOWN = 10
"""Most steps that a message names."""

_RANGE = re.compile(r"(\d{1,9}):(\d{1,9})")


class StepNotPossible(Exception):
    """A step does not exist, or cannot be carried out yet. The message says why."""


async def lay_out_waves(runner: ExperimentRunner, loaded: LoadedExperiment, *, parts: int) -> Waves:
    """Say what is still to be done, in waves.

    Args:
        runner: where the experiment runs.
        loaded: the experiment.
        parts: most parts that an evaluation is shared out into.
    """
    planned = await runner.plan(loaded)
    return waves_of(
        planned.graph, planned.complete, settings=loaded.experiment.evaluation, parts=parts
    )


async def carry_out(
    runner: ExperimentRunner, loaded: LoadedExperiment, digest: str, *, shards: str = ""
) -> str:
    """Carry out the step with this digest and return what was done, in words.

    Args:
        runner: where the experiment runs.
        loaded: the experiment.
        digest: digest of a step, or its first digits.
        shards: of an evaluation, the shards "first:end" that are played, and no more; empty: the
            whole step.

    Raises:
        StepNotPossible: there is no such step, what it needs is not complete, or it has no such
            shards.
    """
    async with runner.opened(loaded) as opened:
        planned = opened.planned
        step = find_step(planned.graph, digest)
        if step.digest in planned.complete:
            return f"{step.label}: is complete already"
        missing = [each for each in inputs_of(step) if each.digest not in planned.complete]
        if missing:
            needs = "; ".join(f"{each.label} ({each.digest})" for each in missing)
            raise StepNotPossible(f"{step.label}: is not complete yet, and needed first: {needs}")
        if not shards:
            with opened.progress:
                await runner.guarded(opened.carrier(step))
            return f"{step.label}: is complete now"
        part = part_of(step, shards, stops=_has_stop_rule(loaded))
        assert isinstance(step, EvaluationStep), "only an evaluation has shards"
        with opened.progress:
            await runner.guarded(opened.carrier.play(step, part))
        return f"{step.label}: shards {shards} are played"


async def finish(runner: ExperimentRunner, loaded: LoadedExperiment) -> Finished:
    """Do what a run does behind its last step.

    Raises:
        StepNotPossible: a step is not complete.
    """
    begun = time.monotonic()
    async with runner.opened(loaded) as opened:
        planned = opened.planned
        missing = [each for each in planned.graph.steps if each.digest not in planned.complete]
        if missing:
            shown = "; ".join(f"{each.label} ({each.digest})" for each in missing[:MOST_SHOWN])
            raise StepNotPossible(
                f"{len(missing)} of {len(planned.graph.steps)} steps are not complete: {shown}"
            )
        return await runner.concluded(loaded, opened, begun=begun)


def find_step(graph: StepGraph, digest: str) -> Step:
    """Find the one step whose digest begins so.

    Raises:
        StepNotPossible: there is none, or several.
    """
    found = {each.digest: each for each in graph.steps if each.digest.startswith(digest)}
    if len(found) == 1 and len(digest) >= SHORTEST:
        return next(iter(found.values()))
    if len(digest) < SHORTEST:
        why = f"needs {SHORTEST} digits or more"
    elif found:
        why = f"is the beginning of {len(found)} digests"
    else:
        why = "is the digest of no step of this experiment at this site"
    raise StepNotPossible(f"--digest: {digest!r} {why}; `steps` writes all of them")


def part_of(step: Step, shards: str, *, stops: bool) -> range:
    """Read a range "first:end" of the shards of ``step``.

    Raises:
        StepNotPossible: it has no shards, not these, or a stop rule that has to see all.
    """
    if not isinstance(step, EvaluationStep):
        raise StepNotPossible(f"--shards: {step.label} plays no episodes, and so has no shards")
    if stops:
        raise StepNotPossible(
            f"--shards: {step.label} has a stop rule (stop_at_interval_width), which has to see "
            "all episodes in order"
        )
    found = _RANGE.fullmatch(shards)
    total = num_shards(step)
    first, end = (int(found[1]), int(found[2])) if found else (0, 0)
    if not first < end <= total:
        raise StepNotPossible(
            f"--shards: {shards!r} is no range of shards; {step.label} has {total}, so that "
            f'"0:{total}" are all'
        )
    return range(first, end)


def _has_stop_rule(loaded: LoadedExperiment) -> bool:
    evaluation = loaded.experiment.evaluation
    return evaluation is not None and evaluation.stop_at_interval_width is not None
