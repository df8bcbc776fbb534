"""What the panel of an experiment left in the store, step by step. Asks nobody."""

from __future__ import annotations

from teachwhy.judge.v1 import calibration_pb2

from pipelines.experiment.calibration import read_calibration
from pipelines.experiment.judge_evaluation import read_judging
from pipelines.experiment.judging import JudgingSummary
from pipelines.experiment.panel_facts import PanelFacts, read_panel_facts
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.record import Judging
from pipelines.experiment.steps import EvaluationStep, JudgingStep, StepGraph
from pipelines.outputs import Output


class PanelResults:
    """The results of a panel over complete steps; empty for an experiment without one."""

    def __init__(self, graph: StepGraph, places: RunPlaces) -> None:
        """Read the calibration of ``graph``, if it has one that is complete."""
        self._places = places
        self._judgings = {step.evaluation.digest: step for step in graph.judgings}
        self._complete = [step for step in graph.judgings if places.output(step).is_complete()]
        self.calibration: calibration_pb2.Calibration | None = None
        if graph.calibration is not None:
            output = places.output(graph.calibration)
            self.calibration = read_calibration(output) if output.is_complete() else None

    def judging(self, evaluation: EvaluationStep) -> Judging | None:
        """Return what was judged of an evaluation; None without a panel."""
        step = self._judgings.get(evaluation.digest)
        if step is None:
            return None
        output = self._places.output(step)
        return Judging(step=step, output=output, calibration=self.calibration)

    def summary(self, evaluation: EvaluationStep) -> JudgingSummary | None:
        """Return what the judging of an evaluation came to; None without a panel."""
        step = self._judgings.get(evaluation.digest)
        return read_judging(self._places.output(step)) if step else None

    def facts(self) -> dict[tuple[str, int], PanelFacts]:
        """Read what the panel said of each arm and token budget, as far as it is complete."""
        judged: dict[tuple[str, int], list[JudgingStep]] = {}
        for step in self._complete:
            judged.setdefault((step.evaluation.arm, step.evaluation.tokens), []).append(step)
        return {
            key: read_panel_facts(list(map(self._outputs, each))) for key, each in judged.items()
        }

    def _outputs(self, step: JudgingStep) -> tuple[Output, Output]:
        return self._places.output(step.evaluation), self._places.output(step)
