"""The steps of an experiment as data: what each is a function of, and its digest.

Pure: builds the step graph from an experiment and the revisions that the rooms
report. Knows neither how a step is carried out nor whether its output exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from pipelines.experiment.spec import BASE_ARM, Arm, Experiment, MixPart
from services.servicekit.digest import derive_seed, digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStep:
    """Write one dataset."""

    part: MixPart
    """Recipe and its options."""
    seed: int
    """Seed of world and draws."""
    tokens: int
    """Token budget."""
    digest: str
    """What its bytes are a function of, as the dataset room says."""

    @property
    def label(self) -> str:
        """Short name for people."""
        return f"{self.part.recipe} {short_tokens(self.tokens)} s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """Train one checkpoint: the base from configuration, or an arm from the base."""

    arm: str
    seed: int
    tokens: int
    """Training tokens of this step."""
    start: TrainingStep | None
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
    """Play, judge and record one checkpoint."""

    arm: str
    seed: int
    tokens: int
    """Fine-tuning tokens of the arm; 0 for the base."""
    training: TrainingStep
    episodes: int
    """Episodes to play."""
    digest: str

    @property
    def label(self) -> str:
        """Short name for people."""
        size = f" {short_tokens(self.tokens)}" if self.tokens else ""
        return f"{self.arm}{size} s{self.seed}"


Step = DatasetStep | TrainingStep | EvaluationStep


class DatasetRevisions(Protocol):
    """What the dataset room says of a dataset before it is written."""

    def digest(self, part: MixPart, seed: int, tokens: int) -> str:
        """Digest of the dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """Versions of everything an experiment's numbers depend on beside its file."""

    datasets: DatasetRevisions
    suites: Mapping[str, str]
    """Revision by suite."""
    episodes_by_suite: Mapping[str, int]
    """Scenarios by suite, before draws."""
    rubric: str
    """Revision of the rubric."""
    training_code: str
    """Digest of the training program."""
    serving_code: str
    """Digest of the model host."""
    chat_template: str
    """Text of the chat template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGraph:
    """All steps of an experiment, inputs before those that need them."""

    datasets: tuple[DatasetStep, ...]
    trainings: tuple[TrainingStep, ...]
    evaluations: tuple[EvaluationStep, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step."""
        return (*self.datasets, *self.trainings, *self.evaluations)


def inputs_of(step: Step) -> tuple[Step, ...]:
    """Steps whose outputs ``step`` reads."""
    match step:
        case DatasetStep():
            return ()
        case TrainingStep():
            first = step.start or step.vocabulary
            return (*((first,) if first else ()), *step.mixture)
        case EvaluationStep():
            return (step.training, *step.training.mixture)


def build_graph(experiment: Experiment, revisions: Revisions) -> StepGraph:
    """Lay out every step of ``experiment`` for every seed."""
    trainings: list[TrainingStep] = []
    evaluations: list[EvaluationStep] = []
    for seed in experiment.seeds:
        base = _base_training(experiment, revisions, seed)
        trainings.append(base)
        evaluations.append(_evaluation(experiment, revisions, base, tokens=0))
        for arm in experiment.arms:
            for tokens in arm.tokens:
                training = _arm_training(experiment, revisions, base, arm, tokens)
                trainings.append(training)
                evaluations.append(_evaluation(experiment, revisions, training, tokens=tokens))
    datasets: dict[str, DatasetStep] = {}
    for training in sorted(trainings, key=lambda each: each.start is not None):
        parts = (*((training.vocabulary,) if training.vocabulary else ()), *training.mixture)
        datasets.update((part.digest, part) for part in parts)
    return StepGraph(
        datasets=tuple(datasets.values()),
        trainings=tuple(trainings),
        evaluations=tuple(evaluations),
    )


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


def training_seed(seed: int, arm: str, tokens: int) -> int:
    """Seed of weights and order of one training run, 31 bits."""
    return derive_seed("training", seed, arm, tokens) % 2**31


def _dataset(revisions: Revisions, part: MixPart, seed: int, tokens: int) -> DatasetStep:
    digest = revisions.datasets.digest(part, seed, tokens)
    return DatasetStep(part=part, seed=seed, tokens=tokens, digest=digest)


def _mixture(
    revisions: Revisions, mix: list[MixPart], seed: int, tokens: int
) -> tuple[DatasetStep, ...]:
    budgets = mixture_budgets(mix, tokens)
    return tuple(
        _dataset(revisions, part, seed, budget) for part, budget in zip(mix, budgets, strict=True)
    )


def _base_training(experiment: Experiment, revisions: Revisions, seed: int) -> TrainingStep:
    base = experiment.base
    vocabulary = _dataset(
        revisions,
        MixPart(recipe=base.tokenizer.fit_recipe),
        seed,
        base.tokenizer.fit_tokens,
    )
    mixture = _mixture(revisions, base.mix, seed, base.tokens)
    digest = digest_of(
        "training",
        revisions.training_code,
        base.model_dump(mode="json", exclude={"mix": True, "tokenizer": {"chat_template"}}),
        revisions.chat_template,
        seed,
        vocabulary.digest,
        [part.digest for part in mixture],
    )
    return TrainingStep(
        arm=BASE_ARM,
        seed=seed,
        tokens=base.tokens,
        start=None,
        vocabulary=vocabulary,
        mixture=mixture,
        digest=digest,
    )


def _arm_training(
    experiment: Experiment, revisions: Revisions, base: TrainingStep, arm: Arm, tokens: int
) -> TrainingStep:
    mixture = _mixture(revisions, arm.mix, base.seed, tokens)
    digest = digest_of(
        "training",
        revisions.training_code,
        experiment.fine_tuning.model_dump(mode="json"),
        training_seed(base.seed, arm.name, tokens),
        base.digest,
        [part.digest for part in mixture],
    )
    return TrainingStep(
        arm=arm.name,
        seed=base.seed,
        tokens=tokens,
        start=base,
        vocabulary=None,
        mixture=mixture,
        digest=digest,
    )


def _evaluation(
    experiment: Experiment, revisions: Revisions, training: TrainingStep, *, tokens: int
) -> EvaluationStep:
    settings = experiment.evaluation
    suites = {suite: revisions.suites[suite] for suite in settings.suites}
    digest = digest_of(
        "evaluation",
        revisions.serving_code,
        settings.model_dump(mode="json"),
        suites,
        revisions.rubric,
        training.seed,
        training.digest,
    )
    scenarios = sum(revisions.episodes_by_suite[suite] for suite in settings.suites)
    return EvaluationStep(
        arm=training.arm,
        seed=training.seed,
        tokens=tokens,
        training=training,
        episodes=scenarios * settings.draws_per_scenario,
        digest=digest,
    )
