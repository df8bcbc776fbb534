"""Judge the stored episodes of an experiment again, without playing, beside the old verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from rich.console import Console

from pipelines.experiment.calibration import calibrate, read_calibration
from pipelines.experiment.judge_endpoints import check_judges
from pipelines.experiment.judge_evaluation import judge_evaluation
from pipelines.experiment.judging import verdict_shards
from pipelines.experiment.layout import calibration_step, judging_step
from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.report_cells import calibration_part
from pipelines.experiment.report_words import calibration_line
from pipelines.experiment.revisions import (
    ExperimentImpossible,
    LoadedExperiment,
    ask_judges,
)
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.runner import Planned, lay_out
from pipelines.experiment.side_by_side import Judged, SideBySide, compare, judged
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.experiment.spec_panel import Panel
from pipelines.experiment.steps import CalibrationStep, EvaluationStep, JudgingStep
from pipelines.outputs import Output


class NothingToRejudge(Exception):
    """No evaluation of the experiment is complete. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """One evaluation, judged again."""

    step: JudgingStep
    old: str
    """Key prefix of the verdicts before."""
    new: str
    """Key prefix of the new verdicts."""
    found: SideBySide


async def rejudge(
    loaded: LoadedExperiment,
    places: RunPlaces,
    *,
    rubric: str,
    panel: Panel | None,
    console: Console,
) -> AsyncIterator[Rejudged]:
    """Judge every complete evaluation again; what is judged so already is only compared.

    Args:
        loaded: the experiment.
        places: where its evaluations are, and where the verdicts go.
        rubric: the judge room's rubric that decides what was done; empty means the file's.
        panel: who is asked beside it; None means the file's own, if it has one.
        console: told the calibration of a panel.

    Raises:
        ExperimentImpossible: there is no such rubric or endpoint.
        NothingToRejudge: no evaluation is complete.
        EpisodesNotJudged: a judge could not be asked.
    """
    settings = loaded.experiment.evaluation
    if settings is None:
        raise NothingToRejudge(f"{loaded.experiment.name}: nothing is evaluated in this file")
    panel = panel or settings.panel
    rubric = rubric or settings.rubric
    check_judges(panel, field="panel")
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        planned = await lay_out(loaded, places, rooms)
        judges, faults = await ask_judges(rubric, panel, rooms)
        if faults:
            raise ExperimentImpossible("\n".join(faults))
        if panel is not None and panel.calibrate:
            await _calibrate(calibration_step(panel, judges), places, rooms, console)
        evaluations = await asyncio.to_thread(
            lambda: list(stored_evaluations(planned, settings, places))
        )
        if not evaluations:
            raise NothingToRejudge(
                f"{loaded.experiment.name}: no evaluation is complete; `run` plays them"
            )
        for evaluation in evaluations:
            step = judging_step(evaluation, rubric, panel, judges)
            output = places.output(step)
            source = places.output(evaluation)
            if not output.is_complete():
                await judge_evaluation(step, source, output, rooms=rooms)
            before = _before(planned, evaluation, places)
            found = await asyncio.to_thread(_compare, before, output)
            yield Rejudged(step=step, old=before.prefix, new=output.prefix, found=found)


def stored_evaluations(
    planned: Planned, settings: Evaluation, places: RunPlaces
) -> Iterator[EvaluationStep]:
    """Find the complete evaluations of an experiment, those of older revisions where none is new.

    An evaluation's digest covers the rubric and other code; its manifest says what was asked for.
    """
    older = None
    for step in planned.graph.evaluations:
        if step.digest in planned.complete:
            yield step
            continue
        asked = {
            "arm": step.arm,
            "seed": step.seed,
            "tokens": step.tokens,
            "endpoint": step.endpoint,
            "model": step.model,
            **settings.of_episodes(),
        }
        if older is None:
            older = list(_manifests(places))
        for digest, parameters in older:
            if parameters == asked:
                yield replace(step, digest=digest)


def _manifests(places: RunPlaces) -> Iterator[tuple[str, dict[str, object]]]:
    for key in places.store.keys("episodes/"):
        if key.endswith("/manifest.json"):
            output = Output(store=places.store, prefix=key.removesuffix("/manifest.json"))
            manifest = output.manifest()
            yield manifest.digest, manifest.parameters


async def _calibrate(
    step: CalibrationStep, places: RunPlaces, rooms: Rooms, console: Console
) -> None:
    output = places.output(step)
    if not output.is_complete():
        await calibrate(step, output, rooms=rooms)
    line = calibration_line(calibration_part(read_calibration(output)))
    console.print(f"{step.label}: {line}", highlight=False)


def _before(planned: Planned, evaluation: EvaluationStep, places: RunPlaces) -> Output:
    """Where the verdicts are that the experiment itself goes by."""
    for step in planned.graph.judgings:
        if step.evaluation.digest == evaluation.digest and step.digest in planned.complete:
            return places.output(step)
    return places.output(evaluation)


def _compare(old: Output, new: Output) -> SideBySide:
    return compare(_judged(old), _judged(new))


def _judged(output: Output) -> Iterator[Judged]:
    for shard in verdict_shards(output):
        yield from map(judged, shard)
