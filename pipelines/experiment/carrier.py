"""Carries out the steps of one run with rooms, model host and launcher."""

from __future__ import annotations

from pipelines.experiment.calibration import calibrate
from pipelines.experiment.evaluate import evaluate_model
from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.judge_evaluation import judge_evaluation
from pipelines.experiment.launcher import TrainingLauncher, TrainingProgress
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.planned_datasets import PlannedDatasets
from pipelines.experiment.play import play_episodes
from pipelines.experiment.progress import RunProgress
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.steps import (
    CalibrationStep,
    DatasetStep,
    EvaluationStep,
    JudgingStep,
    Step,
    TrainingStep,
)
from pipelines.experiment.train import training_order
from pipelines.experiment.write_dataset import DatasetWriter


class StepCarrier:
    """Carries out steps of one run."""

    def __init__(
        self,
        places: RunPlaces,
        *,
        loaded: LoadedExperiment,
        datasets: PlannedDatasets,
        rooms: Rooms,
        host: ModelHost,
        launcher: TrainingLauncher,
        progress: RunProgress,
    ) -> None:
        """Read and write at ``places``; ask the rooms, the host and the launcher."""
        self.loaded = loaded
        self._writer = DatasetWriter(
            datasets,
            rooms,
            output=places.output,
            draft=places.draft,
            reports=places.runs / loaded.experiment.name / "audits",
        )
        self._places = places
        self._rooms = rooms
        self._host = host
        self._progress = progress
        self._launcher = launcher

    async def __call__(self, step: Step) -> None:
        """Carry out one step; its output is complete when this returns."""
        self._progress.started(step)
        output = self._places.output(step)
        match step:
            case DatasetStep():
                await self._writer.write(step, lambda done: self._progress.advanced(step, done))
            case TrainingStep():
                await self._train(step)
            case EvaluationStep():
                evaluation = self.loaded.experiment.evaluation
                assert evaluation is not None, "there are evaluations"
                await evaluate_model(
                    step,
                    output,
                    settings=evaluation,
                    rooms=self._rooms,
                    host=self._host,
                    advance=lambda done: self._progress.advanced(step, done),
                )
            case CalibrationStep():
                await calibrate(step, output, rooms=self._rooms)
            case JudgingStep():
                await judge_evaluation(
                    step,
                    self._places.output(step.evaluation),
                    output,
                    rooms=self._rooms,
                    advance=lambda done: self._progress.advanced(step, done),
                )
        self._progress.finished(step)

    async def play(self, step: EvaluationStep, shards: range) -> None:
        """Play some shards of an evaluation, and no more."""
        evaluation = self.loaded.experiment.evaluation
        assert evaluation is not None, "there are evaluations"
        self._progress.started(step)
        await play_episodes(
            step,
            self._places.output(step),
            settings=evaluation,
            rooms=self._rooms,
            host=self._host,
            advance=lambda done: self._progress.advanced(step, done),
            shards=shards,
        )

    async def _train(self, step: TrainingStep) -> None:
        loop = self.loaded.experiment.loop
        assert loop is not None, "there are trainings"

        state = ""

        def report(news: TrainingProgress) -> None:
            nonlocal state
            if news.state and news.state != state:
                self._progress.noted(step, news.state)
            state = news.state
            pace = f"{news.tokens_per_second:,.0f} tokens/s, loss {news.loss:.2f}"
            self._progress.advanced(step, news.tokens, news.state or pace)

        order = training_order(
            step,
            loop=loop,
            chat_template=self.loaded.chat_template,
            place=self._places.place,
        )
        await self._launcher.train(order, report)
