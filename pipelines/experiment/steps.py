"""The steps of an experiment as data: what each is a function of, and its digest.

Knows neither how a step is carried out nor whether its output exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from pipelines.experiment.spec_data import MixPart, RecipeOptions, WrittenDataset
from pipelines.experiment.spec_evaluation import HostedModel
from pipelines.experiment.spec_panel import Panel
from services.servicekit.digest import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStep:
    """Write one dataset."""

    part: RecipeOptions
    """Recipe and its options."""
    seed: int
    """Seed of world and draws."""
    tokens: int
    """Token budget."""
    digest: str
    """What its bytes are a function of: what the dataset room says, and the gates before it."""
    draft: str = ""
    """Digest of what the room writes before any gate; empty where it is taken as written."""
    contrast: tuple[DatasetStep, ...] = ()
    """Data that single words should not tell it from."""

    @property
    def label(self) -> str:
        """Short name for people."""
        name = self.part.name if isinstance(self.part, WrittenDataset) else self.part.recipe
        return f"{name} {short_tokens(self.tokens)} s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenModel:
    """A checkpoint that nobody trains here: it was imported."""

    checkpoint: str
    """Name under which it lies in the store and is hosted."""
    digest: str
    """Digest of its content; empty while it is not in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """Train one checkpoint: the base from configuration, or an arm from the base."""

    arm: str
    seed: int
    tokens: int
    """Training tokens of this step."""
    start: TrainingStep | GivenModel | None
    """Checkpoint to start from; None trains from configuration."""
    vocabulary: DatasetStep | None
    """Data the tokenizer is fitted on; only without ``start``."""
    mixture: tuple[DatasetStep, ...]
    """Data it is trained on, each with its own budget."""
    digest: str

    @property
    def checkpoint(self) -> str:
        """Name under which the checkpoint is hosted."""
        size = "" if self.start is None else f"-{short_tokens(self.tokens)}"
        return f"{self.arm}{size}-s{self.seed}-{self.digest[:12]}"

    @property
    def label(self) -> str:
        """Short name for people."""
        return f"{self.arm} {short_tokens(self.tokens)} s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationStep:
    """Play, judge and record one model."""

    arm: str
    """Arm, or name of a hosted model."""
    seed: int
    tokens: int
    """Fine-tuning tokens of the arm; 0 for the base and for hosted models."""
    subject: TrainingStep | GivenModel | HostedModel
    """What plays: a checkpoint in the store, or a model that somebody hosts."""
    episodes: int
    """Episodes to play, unless the stop rule ends it before."""
    digest: str
    occasion: str = ""
    """Occasion at which it is measured anew; empty: once for all."""

    @property
    def endpoint(self) -> str:
        """Endpoint of the rollout room at which the model is asked; empty means its default."""
        return self.subject.endpoint if isinstance(self.subject, HostedModel) else ""

    @property
    def model(self) -> str:
        """Name of the model at its endpoint."""
        if isinstance(self.subject, HostedModel):
            return self.subject.model
        return self.subject.checkpoint

    @property
    def label(self) -> str:
        """Short name for people."""
        size = f" {short_tokens(self.tokens)}" if self.tokens else ""
        return f"{self.arm}{size} s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationStep:
    """Measure how often a panel errs on the judge room's labelled episodes."""

    panel: Panel
    episodes: int
    """Labelled episodes."""
    digest: str

    @property
    def label(self) -> str:
        """Short name for people."""
        return f"{self.panel.rubric} by {panel_label(self.panel)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingStep:
    """Judge the stored episodes of an evaluation by a rubric, and by a panel if there is one."""

    evaluation: EvaluationStep
    rubric: str
    """Rubric of the judge room that decides what was done."""
    panel: Panel | None
    digest: str

    @property
    def episodes(self) -> int:
        """Most episodes to judge."""
        return self.evaluation.episodes

    @property
    def label(self) -> str:
        """Short name for people."""
        who = panel_label(self.panel) if self.panel else self.rubric
        return f"{self.evaluation.label} by {who}"


Step = DatasetStep | TrainingStep | EvaluationStep | CalibrationStep | JudgingStep


class DatasetRevisions(Protocol):
    """What the dataset room says of a dataset before it is written."""

    def digest(self, part: RecipeOptions, seed: int, tokens: int) -> str:
        """Digest of the dataset, before any gate."""

    def gates(self, part: RecipeOptions, seed: int) -> str:
        """Digest of the gates before it; empty where it is taken as the room writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRevisions:
    """What verdicts are a function of in the judge room."""

    rubric: str = ""
    """Revision of the rubric that decides what was done."""
    opinion_rubric: str = ""
    """Revision of the panel's rubric; empty where there is no panel."""
    questions: int = 0
    """Characters of that rubric's questions, which every prompt holds."""
    gold_set: str = ""
    """Digest of the labelled episodes."""
    gold_episodes: int = 0
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """Versions of everything an experiment's numbers depend on beside its file."""

    datasets: DatasetRevisions
    suites: Mapping[str, str]
    """Revision by suite."""
    episodes_by_suite: Mapping[str, int]
    """Scenarios by suite, before draws and repetitions."""
    judges: JudgeRevisions
    training_code: str
    """Digest of the training program."""
    serving_code: str
    """Digest of the model host."""
    chat_template: str
    """Text of the chat template."""
    given: GivenModel | None = None
    """The model that every arm starts from, where the run does not pretrain it."""
    occasion: str = ""
    """Occasion at which hosted models, and what is promoted, are measured anew; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGraph:
    """All steps of an experiment, inputs before those that need them."""

    datasets: tuple[DatasetStep, ...]
    trainings: tuple[TrainingStep, ...]
    evaluations: tuple[EvaluationStep, ...]
    written: tuple[tuple[str, DatasetStep], ...] = ()
    """Those of ``datasets`` that the experiment file names, by name; one for each seed."""
    calibration: CalibrationStep | None = None
    """How often the panel errs; None without a panel, or where the file does not want it."""
    judgings: tuple[JudgingStep, ...] = ()
    """What the panel says of each of ``evaluations``, in their order; empty without a panel."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step."""
        calibrations = (self.calibration,) if self.calibration else ()
        played = (*self.datasets, *self.trainings, *self.evaluations)
        return (*played, *calibrations, *self.judgings)


def inputs_of(step: Step) -> tuple[Step, ...]:
    """Steps whose outputs ``step`` reads."""
    match step:
        case DatasetStep():
            return step.contrast
        case TrainingStep():
            first = step.start or step.vocabulary
            own = (first,) if isinstance(first, TrainingStep | DatasetStep) else ()
            return (*own, *step.mixture)
        case EvaluationStep(subject=TrainingStep() as training):
            return (training, *training.mixture)
        case JudgingStep():
            return (step.evaluation,)
        case EvaluationStep() | CalibrationStep():
            return ()


def mixture_budgets(mix: list[MixPart], tokens: int) -> list[int]:
    """Share ``tokens`` out over the parts; every part gets one or more.

    The sum is exact unless a share would round to nothing.

    >>> mixture_budgets([MixPart(recipe="a"), MixPart(recipe="b", share=2)], 10)
    [3, 7]
    """
    total = sum(part.share for part in mix)
    edges, passed = [0], 0.0
    for part in mix:
        passed += part.share
        edges.append(round(tokens * passed / total))
    return [max(1, after - before) for before, after in pairwise(edges)]


def short_tokens(tokens: int) -> str:
    """Write a token count for people and names. Example: 80000 is "80k"."""
    for size, unit in ((10**6, "m"), (10**3, "k")):
        if tokens >= size and tokens % (size // 10) == 0:
            return f"{tokens / size:g}".replace(".", "p") + unit
    return str(tokens)


def panel_label(panel: Panel) -> str:
    """Name the judges of a panel, and how often each is asked where that is not once."""
    names = ", ".join(member.label for member in panel.members)
    times = panel.asks // len(panel.members)
    return f"{names} x{times}" if times > 1 else names


def training_seed(seed: int, arm: str, tokens: int) -> int:
    """Seed of weights and order of one training run, 31 bits."""
    return derive_seed("training", seed, arm, tokens) % 2**31
