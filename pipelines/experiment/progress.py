"""Shows how far a run is: bars in a terminal, lines elsewhere. Decides nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipelines.experiment.steps import (
    CalibrationStep,
    DatasetStep,
    EvaluationStep,
    JudgingStep,
    Step,
    TrainingStep,
)

STAGES = {
    DatasetStep: "write data",
    TrainingStep: "train",
    EvaluationStep: "play and judge",
    CalibrationStep: "calibrate the panel",
    JudgingStep: "ask the panel",
}
_COUNTED_IN_TOKENS = (DatasetStep, TrainingStep)


class RunProgress:
    """One bar for each stage and one for each running step; a context manager."""

    def __init__(self, console: Console, steps: tuple[Step, ...]) -> None:
        self._console = console
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._stages: dict[str, TaskID] = {}
        for kind, title in STAGES.items():
            total = sum(1 for step in steps if isinstance(step, kind))
            if not total and kind in {CalibrationStep, JudgingStep}:
                continue  # what a file without a panel never does
            self._stages[title] = self._bars.add_task(f"[bold]{title}", total=total, rate="steps")
        self._running: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}
        self.seconds: dict[str, float] = defaultdict(float)
        """Seconds of work by stage, summed over its steps."""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def skipped(self, step: Step) -> None:
        """Note a step whose output was in the store."""
        self._bars.advance(self._stages[STAGES[type(step)]])

    def started(self, step: Step) -> None:
        """Note that a step begins."""
        total = step.tokens if isinstance(step, _COUNTED_IN_TOKENS) else step.episodes
        title = STAGES[type(step)]
        self._begun[step.digest] = time.monotonic()
        self._running[step.digest] = self._bars.add_task(
            f"  {title}: {step.label}", total=total, rate=""
        )

    def advanced(self, step: Step, done: int, rate: str = "") -> None:
        """Note how much of a step is done, in tokens or episodes."""
        task = self._running[step.digest]
        elapsed = max(time.monotonic() - self._begun[step.digest], 1e-3)
        unit = "tokens/s" if isinstance(step, _COUNTED_IN_TOKENS) else "episodes/s"
        shown = rate or f"{done / elapsed:,.0f} {unit}"
        self._bars.update(task, completed=done, rate=shown)

    def noted(self, step: Step, what: str) -> None:
        """Say what a step waits for, where no bar says so."""
        if not self._console.is_terminal:
            self._console.print(f"{STAGES[type(step)]}: {step.label}: {what}", highlight=False)

    def finished(self, step: Step) -> None:
        """Note that a step is complete."""
        title = STAGES[type(step)]
        seconds = time.monotonic() - self._begun.pop(step.digest)
        self.seconds[title] += seconds
        self._bars.remove_task(self._running.pop(step.digest))
        self._bars.advance(self._stages[title])
        if not self._console.is_terminal:
            self._console.print(f"{title}: {step.label} ({seconds:.1f} s)", highlight=False)
