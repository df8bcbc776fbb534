"""Lays out the steps of an experiment and gives each the digest of what it is a function of.

Pure: knows the experiment and the revisions that the rooms report.
"""

from __future__ import annotations

from pipelines.experiment.spec import BASE_ARM, Arm, Evaluation, Experiment, Loop
from pipelines.experiment.spec_data import MixPart, RecipeOptions
from pipelines.experiment.steps import (
    DatasetStep,
    EvaluationStep,
    Revisions,
    StepGraph,
    TrainingStep,
    mixture_budgets,
    training_seed,
)
from services.servicekit.digest import digest_of


def build_graph(experiment: Experiment, revisions: Revisions) -> StepGraph:
    """Lay out every step of ``experiment`` for every seed."""
    layouts = [_Layout(experiment, revisions, seed) for seed in experiment.seeds]
    trainings: list[TrainingStep] = []
    evaluations: list[EvaluationStep] = []
    for layout in layouts:
        for training, tokens in layout.trainings():
            trainings.append(training)
            evaluations.append(layout.evaluation(training, tokens=tokens))
    written = tuple(named for layout in layouts for named in layout.written())
    datasets: dict[str, DatasetStep] = {}
    for training in sorted(trainings, key=lambda each: each.start is not None):
        parts = (*((training.vocabulary,) if training.vocabulary else ()), *training.mixture)
        datasets.update((source.digest, source) for part in parts for source in _and_before(part))
    datasets.update((source.digest, source) for _, step in written for source in _and_before(step))
    return StepGraph(
        datasets=tuple(datasets.values()),
        trainings=tuple(trainings),
        evaluations=tuple(evaluations),
        written=written,
    )


def _and_before(step: DatasetStep) -> tuple[DatasetStep, ...]:
    return (*step.contrast, step)


class _Layout:
    """The steps of one seed."""

    def __init__(self, experiment: Experiment, revisions: Revisions, seed: int) -> None:
        self._experiment = experiment
        self._revisions = revisions
        self._seed = seed
        self._contrast = self._contrast_mixes()
        self._is_contrast = {
            revisions.datasets.digest(part, seed, tokens)
            for mix in self._contrast.values()
            for part, tokens in mix
        }

    def written(self) -> list[tuple[str, DatasetStep]]:
        """Datasets that the file names."""
        return [(each.name, self._dataset(each, each.tokens)) for each in self._experiment.datasets]

    def trainings(self) -> list[tuple[TrainingStep, int]]:
        """Trainings with the fine-tuning tokens behind each; the base has none."""
        loop = self._experiment.loop
        if loop is None:
            return []
        base = self._base_training(loop)
        arms = [
            (self._arm_training(loop, base, arm, tokens), tokens)
            for arm in loop.arms
            for tokens in arm.tokens
        ]
        return [(base, 0), *arms]

    def evaluation(self, training: TrainingStep, *, tokens: int) -> EvaluationStep:
        """Lay out the measurement of a checkpoint."""
        settings, revisions = self._experiment.evaluation, self._revisions
        assert isinstance(settings, Evaluation), "what is trained is measured"
        digest = digest_of(
            "evaluation",
            revisions.serving_code,
            settings.model_dump(mode="json"),
            {suite: revisions.suites[suite] for suite in settings.suites},
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

    def _contrast_mixes(self) -> dict[int, list[tuple[RecipeOptions, int]]]:
        """Parts and budgets of the contrast, by its token budget."""
        name = self._experiment.gates.shortcuts.contrast
        mixes: dict[int, list[tuple[RecipeOptions, int]]] = {
            each.tokens: [(each, each.tokens)]
            for each in self._experiment.datasets
            if each.name == name
        }
        for arm in self._experiment.arms:
            if arm.name == name:
                for tokens in arm.tokens:
                    mixes[tokens] = list(
                        zip(arm.mix, mixture_budgets(arm.mix, tokens), strict=True)
                    )
        return mixes

    def _dataset(self, part: RecipeOptions, tokens: int) -> DatasetStep:
        datasets = self._revisions.datasets
        draft = datasets.digest(part, self._seed, tokens)
        gates = datasets.gates(part, self._seed)
        if not gates:
            return DatasetStep(part=part, seed=self._seed, tokens=tokens, digest=draft)
        contrast: tuple[DatasetStep, ...] = ()
        if self._contrast and draft not in self._is_contrast:
            nearest = min(self._contrast, key=lambda size: abs(size - tokens))
            contrast = tuple(self._dataset(*each) for each in self._contrast[nearest])
        return DatasetStep(
            part=part,
            seed=self._seed,
            tokens=tokens,
            digest=digest_of("gated", draft, gates, [each.digest for each in contrast]),
            draft=draft,
            contrast=contrast,
        )

    def _mixture(self, mix: list[MixPart], tokens: int) -> tuple[DatasetStep, ...]:
        budgets = mixture_budgets(mix, tokens)
        return tuple(self._dataset(*each) for each in zip(mix, budgets, strict=True))

    def _base_training(self, loop: Loop) -> TrainingStep:
        base, seed = loop.base, self._seed
        vocabulary = self._dataset(
            MixPart(recipe=base.tokenizer.fit_recipe), base.tokenizer.fit_tokens
        )
        mixture = self._mixture(base.mix, base.tokens)
        digest = digest_of(
            "training",
            self._revisions.training_code,
            base.model_dump(mode="json", exclude={"mix": True, "tokenizer": {"chat_template"}}),
            self._revisions.chat_template,
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

    def _arm_training(self, loop: Loop, base: TrainingStep, arm: Arm, tokens: int) -> TrainingStep:
        mixture = self._mixture(arm.mix, tokens)
        digest = digest_of(
            "training",
            self._revisions.training_code,
            loop.fine_tuning.model_dump(mode="json"),
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
