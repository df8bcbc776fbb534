"""Carries out an experiment at a site: plans it, runs its steps, reports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from teachwhy.scoreboard.v1 import evaluation_pb2

from pipelines.experiment.carrier import StepCarrier
from pipelines.experiment.evaluate import read_summary
from pipelines.experiment.given import check_given, given_model
from pipelines.experiment.layout import build_graph
from pipelines.experiment.loss_curves import loss_curves
from pipelines.experiment.panel_results import PanelResults
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.planned_datasets import PlannedDatasets
from pipelines.experiment.progress import RunProgress
from pipelines.experiment.promotion import promote
from pipelines.experiment.record import Judging, record_evaluation
from pipelines.experiment.report import Report
from pipelines.experiment.report_build import build_report
from pipelines.experiment.report_rows import Measured
from pipelines.experiment.revisions import (
    LoadedExperiment,
    ask_revisions,
    ask_suites,
    own_serving_revision,
)
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.scheduler import run_steps
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.site import Site
from pipelines.experiment.spec import Base, Experiment, Loop
from pipelines.experiment.steps import (
    DatasetStep,
    EvaluationStep,
    GivenModel,
    JudgeRevisions,
    Step,
    StepGraph,
    TrainingStep,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An experiment laid out."""

    graph: StepGraph
    datasets: PlannedDatasets
    complete: frozenset[str]
    """Digests of the steps whose outputs are in the store."""
    judges: JudgeRevisions
    """What verdicts are a function of in the judge room."""
    given: GivenModel | None = None
    """The model that every arm starts from, where the run does not pretrain it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a run ends with."""

    graph: StepGraph
    report: Report | None
    """None where nothing was measured."""


async def lay_out(
    loaded: LoadedExperiment, places: RunPlaces, rooms: Rooms, *, serving_revision: str = ""
) -> Planned:
    """Ask the rooms about an experiment and lay out its steps. Nothing is made.

    Args:
        loaded: the experiment.
        places: where outputs are looked for.
        rooms: are asked.
        serving_revision: digest of what hosts checkpoints; our own model server when empty.
    """
    serving = serving_revision or own_serving_revision()
    revisions, datasets = await ask_revisions(loaded, rooms, serving_revision=serving)
    given = await asyncio.to_thread(given_model, loaded.experiment, places)
    graph = build_graph(loaded.experiment, replace(revisions, given=given))
    complete = [
        step.digest
        for step in graph.steps
        if await asyncio.to_thread(places.output(step).is_complete)
    ]
    return Planned(
        graph=graph,
        datasets=datasets,
        complete=frozenset(complete),
        judges=revisions.judges,
        given=given,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run whose site is up and whose steps are laid out."""

    rooms: Rooms
    planned: Planned
    progress: RunProgress
    carrier: StepCarrier


class ExperimentRunner:
    """Runs experiments at a site."""

    def __init__(self, site: Site, settings: PipelinesSettings, console: Console) -> None:
        self._site = site
        self._settings = settings
        self._console = console
        self.places = site.places

    async def plan(self, loaded: LoadedExperiment) -> Planned:
        """Lay out all steps and say which outputs are in the store. Nothing is made."""
        self._site.check(loaded.experiment)
        async with self._site as site, Rooms(site.addresses) as rooms:
            return await self._lay_out(loaded, rooms)

    async def _lay_out(self, loaded: LoadedExperiment, rooms: Rooms) -> Planned:
        revision = self._site.serving_revision
        return await lay_out(loaded, self.places, rooms, serving_revision=revision)

    async def run(self, loaded: LoadedExperiment) -> Finished:
        """Run what is not in the store yet, record every evaluation and build the report."""
        begun = time.monotonic()
        async with self.opened(loaded) as opened:
            graph = opened.planned.graph
            with opened.progress:
                await self.guarded(self._run_steps(graph, opened.carrier, opened.progress))
            return await self.concluded(loaded, opened, begun=begun)

    async def concluded(
        self, loaded: LoadedExperiment, opened: OpenRun, *, begun: float
    ) -> Finished:
        """Do what follows the last step: record every evaluation and build the report."""
        graph = opened.planned.graph
        if loaded.experiment.evaluation is None:
            return Finished(graph=graph, report=None)
        report = await self._report(
            loaded.experiment,
            graph,
            opened.rooms,
            stages={**opened.progress.seconds},
            begun=begun,
        )
        return Finished(graph=graph, report=report)

    @asynccontextmanager
    async def opened(self, loaded: LoadedExperiment) -> AsyncIterator[OpenRun]:
        """Hold the runs folder, start the site and lay out what is to be done.

        Raises:
            ExperimentImpossible: the experiment cannot be run at this site.
            RunsFolderBusy: another run holds the folder.
        """
        self._site.check(loaded.experiment)
        with self.places.exclusive():
            async with self._site as site, Rooms(site.addresses) as rooms:
                planned = await self._lay_out(loaded, rooms)
                check_given(planned.given)
                progress = RunProgress(self._console, planned.graph.steps)
                carrier = StepCarrier(
                    self.places,
                    loaded=loaded,
                    datasets=planned.datasets,
                    rooms=rooms,
                    host=site.host,
                    launcher=site.launcher,
                    progress=progress,
                )
                yield OpenRun(rooms=rooms, planned=planned, progress=progress, carrier=carrier)

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``; a site that cannot go on ends it at once, in its own words."""
        failure = self._site.failure
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, failure}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            failure.result()
        await task

    def cores_of(self, step: Step, loop: Loop | None) -> int:
        """Cores that ``step`` keeps busy here; where trainings run elsewhere, their number."""
        if self._site.trains_at_once is not None:
            return int(isinstance(step, TrainingStep))
        match step:
            case TrainingStep(start=None) if loop and isinstance(loop.base, Base):
                return loop.base.training.threads
            case TrainingStep():
                return loop.fine_tuning.threads if loop else 0
            case EvaluationStep():
                return 1
            case _:
                return 0

    async def _report(
        self,
        experiment: Experiment,
        graph: StepGraph,
        rooms: Rooms,
        *,
        stages: dict[str, float],
        begun: float,
    ) -> Report:
        panel = PanelResults(graph, self.places)
        measured = [
            Measured(
                step=step,
                record=await self._record(step, experiment, rooms, panel.judging(step)),
                summary=await asyncio.to_thread(read_summary, self.places.output(step)),
                judging=await asyncio.to_thread(panel.summary, step),
            )
            for step in graph.evaluations
        ]
        suites = await ask_suites(rooms)
        promotion = await promote(
            experiment,
            measured,
            rooms,
            suites=suites,
            router=self._site.traffic,
            store=self.places.store,
        )
        return await build_report(
            experiment,
            measured,
            rooms,
            suites=suites,
            stages=stages,
            curves=await asyncio.to_thread(loss_curves, graph.trainings, self.places),
            wall_seconds=time.monotonic() - begun,
            calibration=panel.calibration,
            facts=await asyncio.to_thread(panel.facts),
            promotion=promotion,
        )

    async def _run_steps(
        self, graph: StepGraph, carrier: StepCarrier, progress: RunProgress
    ) -> None:
        loop = carrier.loaded.experiment.loop

        async def is_complete(step: Step) -> bool:
            complete = await self._is_complete(step)
            if complete:
                progress.skipped(step)
            return complete

        await run_steps(
            graph.steps,
            is_complete=is_complete,
            run=carrier,
            cores=self._site.trains_at_once or self._settings.cores,
            cores_of=lambda step: self.cores_of(step, loop),
        )

    async def _is_complete(self, step: Step) -> bool:
        return await asyncio.to_thread(self.places.output(step).is_complete)

    async def _record(
        self,
        step: EvaluationStep,
        experiment: Experiment,
        rooms: Rooms,
        judging: Judging | None,
    ) -> evaluation_pb2.Evaluation:
        assert experiment.evaluation is not None, "there are evaluations"
        own_data: tuple[DatasetStep, ...] = ()
        if isinstance(step.subject, TrainingStep) and step.subject.start is not None:
            own_data = step.subject.mixture
        return await record_evaluation(
            step,
            self.places.output(step),
            experiment=experiment.name,
            rubric=experiment.evaluation.rubric,
            training_data=[self.places.output(source) for source in own_data],
            rooms=rooms,
            judging=judging,
        )
