"""Carries out an experiment on this machine: plans it, runs its steps, reports."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.console import Console
from teachwhy.scoreboard.v1 import evaluation_pb2

from pipelines.experiment.evaluate import evaluate_checkpoint
from pipelines.experiment.generate import generate_dataset
from pipelines.experiment.launcher import TrainingProgress
from pipelines.experiment.local_host import LocalHost
from pipelines.experiment.local_launcher import LocalLauncher
from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.outputs import Output
from pipelines.experiment.progress import RunProgress
from pipelines.experiment.record import record_evaluation
from pipelines.experiment.report import Report
from pipelines.experiment.report_build import build_report
from pipelines.experiment.revisions import ask_revisions
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.scheduler import run_steps
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.steps import (
    DatasetStep,
    EvaluationStep,
    Step,
    StepGraph,
    TrainingStep,
    build_graph,
)
from pipelines.experiment.train import train_checkpoint
from services.servicekit.storage.settings import StoreSettings, open_store


class RunsFolderBusy(Exception):
    """Another run uses the runs folder. The message says which process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedExperiment:
    """An experiment and the files it names."""

    experiment: Experiment
    chat_template: str
    """Text of the chat template."""


class ExperimentRunner:
    """Runs experiments over the store in a runs folder."""

    def __init__(self, settings: PipelinesSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._runs = settings.runs_folder.resolve()
        self._store = open_store(StoreSettings(kind="directory", root=self._runs / "store"))

    async def plan(self, loaded: LoadedExperiment) -> list[tuple[Step, bool]]:
        """Lay out all steps and say which outputs are in the store. Nothing is made."""
        async with LocalServices(self._runs) as services, Rooms(services.addresses) as rooms:
            graph = await self._graph(loaded, rooms)
            return [(step, await self._is_complete(step)) for step in graph.steps]

    async def run(self, loaded: LoadedExperiment) -> Report:
        """Run what is not in the store yet, record every evaluation and build the report."""
        begun = time.monotonic()
        with self._exclusive():
            async with AsyncExitStack() as stack:
                services = await stack.enter_async_context(LocalServices(self._runs))
                rooms = await stack.enter_async_context(Rooms(services.addresses))
                host = await stack.enter_async_context(
                    LocalHost(services.serving_url, services.ensure_serving)
                )
                graph = await self._graph(loaded, rooms)
                with RunProgress(self._console, graph.steps) as progress:
                    carrier = _Carrier(self, loaded, rooms, host, progress)
                    work = asyncio.ensure_future(self._run_steps(graph, carrier, progress))
                    # A service that cannot be kept alive ends the run at once, in its own words.
                    await asyncio.wait(
                        {work, services.failure}, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not work.done():
                        work.cancel()
                        await asyncio.wait({work})
                        services.failure.result()
                    await work
                records = [
                    (step, await self._record(step, loaded.experiment, rooms))
                    for step in graph.evaluations
                ]
                return await build_report(
                    loaded.experiment,
                    records,
                    rooms,
                    stages={**progress.seconds},
                    curves=self._curves(graph),
                    wall_seconds=time.monotonic() - begun,
                )

    def output(self, step: Step) -> Output:
        """Where the output of ``step`` is kept."""
        match step:
            case DatasetStep():
                prefix = f"datasets/{step.digest}"
            case TrainingStep():
                prefix = f"checkpoints/{step.checkpoint}"
            case EvaluationStep():
                prefix = f"episodes/{step.digest}"
        return Output(store=self._store, prefix=prefix)

    def scratch(self, step: Step) -> Path:
        """Folder for the unfinished work of ``step``."""
        return self._runs / "scratch" / step.digest[:24]

    def cores_of(self, step: Step, experiment: Experiment) -> int:
        """Cores that ``step`` keeps busy."""
        match step:
            case TrainingStep(start=None):
                return experiment.base.training.threads
            case TrainingStep():
                return experiment.fine_tuning.threads
            case EvaluationStep():
                return 1
            case _:
                return 0

    async def _graph(self, loaded: LoadedExperiment, rooms: Rooms) -> StepGraph:
        revisions = await ask_revisions(
            loaded.experiment, rooms, chat_template=loaded.chat_template
        )
        return build_graph(loaded.experiment, revisions)

    async def _run_steps(self, graph: StepGraph, carrier: _Carrier, progress: RunProgress) -> None:
        experiment = carrier.loaded.experiment

        async def is_complete(step: Step) -> bool:
            complete = await self._is_complete(step)
            if complete:
                progress.skipped(step)
            return complete

        await run_steps(
            graph.steps,
            is_complete=is_complete,
            run=carrier,
            cores=self._settings.cores,
            cores_of=lambda step: self.cores_of(step, experiment),
        )

    async def _is_complete(self, step: Step) -> bool:
        return await asyncio.to_thread(self.output(step).is_complete)

    async def _record(
        self, step: EvaluationStep, experiment: Experiment, rooms: Rooms
    ) -> evaluation_pb2.Evaluation:
        own_data = step.training.mixture if step.training.start is not None else ()
        return await record_evaluation(
            step,
            self.output(step),
            experiment=experiment.name,
            rubric=experiment.evaluation.rubric,
            training_data=[self.output(source) for source in own_data],
            rooms=rooms,
        )

    def _curves(self, graph: StepGraph) -> dict[str, list[tuple[int, float]]]:
        curves = {}
        for step in graph.trainings:
            result = orjson.loads(self.output(step).read("training.json"))
            curves[step.checkpoint] = [
                (int(tokens), float(loss)) for tokens, loss in result["loss_curve"]
            ]
        return curves

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the runs folder; two runs in one folder would tread on each other's scratch."""
        path = self._runs / "run.lock"
        with path.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise RunsFolderBusy(
                    f"{self._runs} is in use by process {lock.read().strip() or '?'}; wait for it, "
                    "or set PIPELINES_RUNS_FOLDER to another folder"
                ) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


class _Carrier:
    """Carries out steps of one run."""

    def __init__(
        self,
        runner: ExperimentRunner,
        loaded: LoadedExperiment,
        rooms: Rooms,
        host: LocalHost,
        progress: RunProgress,
    ) -> None:
        self.loaded = loaded
        self._runner = runner
        self._rooms = rooms
        self._host = host
        self._progress = progress
        self._launcher = LocalLauncher()

    async def __call__(self, step: Step) -> None:
        self._progress.started(step)
        output = self._runner.output(step)
        match step:
            case DatasetStep():
                await generate_dataset(
                    step, output, self._rooms, lambda done: self._progress.advanced(step, done)
                )
            case TrainingStep():
                await self._train(step, output)
            case EvaluationStep():
                await evaluate_checkpoint(
                    step,
                    output,
                    settings=self.loaded.experiment.evaluation,
                    rooms=self._rooms,
                    host=self._host,
                    advance=lambda done: self._progress.advanced(step, done),
                )
        self._progress.finished(step)

    async def _train(self, step: TrainingStep, output: Output) -> None:
        def report(news: TrainingProgress) -> None:
            rate = f"{news.tokens_per_second:,.0f} tokens/s, loss {news.loss:.2f}"
            self._progress.advanced(step, news.tokens, rate)

        await train_checkpoint(
            step,
            output,
            experiment=self.loaded.experiment,
            chat_template=self.loaded.chat_template,
            inputs=self._runner.output,
            launcher=self._launcher,
            scratch=self._runner.scratch(step),
            report=report,
        )
