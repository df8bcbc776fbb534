"""Lays out the steps of an experiment and gives each the digest of what it is a function of.

Pure: knows the experiment and the revisions that the rooms report.
"""

from __future__ import annotations

from pipelines.experiment.spec import BASE_ARM, Arm, Base, Experiment, Loop
from pipelines.experiment.spec_data import MixPart, RecipeOptions
from pipelines.experiment.spec_evaluation import Evaluation, HostedModel
from pipelines.experiment.spec_panel import Panel
from pipelines.experiment.steps import (
    CalibrationStep,
    DatasetStep,
    EvaluationStep,
    GivenModel,
    JudgeRevisions,
    JudgingStep,
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
        for checkpoint, tokens in layout.checkpoints():
            if isinstance(checkpoint, TrainingStep):
                trainings.append(checkpoint)
            evaluations.append(layout.checkpoint_evaluation(checkpoint, tokens=tokens))
    for layout in layouts:
        evaluations.extend(map(layout.hosted_evaluation, experiment.models))
    written = tuple(named for layout in layouts for named in layout.written())
    datasets: dict[str, DatasetStep] = {}
    for training in sorted(trainings, key=lambda each: each.start is not None):
        parts = (*((training.vocabulary,) if training.vocabulary else ()), *training.mixture)
        datasets.update((source.digest, source) for part in parts for source in _and_before(part))
    datasets.update((source.digest, source) for _, step in written for source in _and_before(step))
    settings = experiment.evaluation
    panel = settings.panel if settings else None
    return StepGraph(
        datasets=tuple(datasets.values()),
        trainings=tuple(trainings),
        evaluations=tuple(evaluations),
        written=written,
        calibration=calibration_step(panel, revisions.judges)
        if panel and panel.calibrate
        else None,
        judgings=tuple(
            judging_step(each, settings.rubric, panel, revisions.judges) for each in evaluations
        )
        if settings and panel
        else (),
    )


def calibration_step(panel: Panel, judges: JudgeRevisions) -> CalibrationStep:
    """Lay out how often a panel errs on the judge room's labelled episodes."""
    return CalibrationStep(
        panel=panel,
        episodes=judges.gold_episodes,
        digest=digest_of("calibration", _asked(panel), judges.opinion_rubric, judges.gold_set),
    )


def judging_step(
    evaluation: EvaluationStep, rubric: str, panel: Panel | None, judges: JudgeRevisions
) -> JudgingStep:
    """Lay out the judging of what an evaluation played.

    Args:
        evaluation: holds the episodes.
        rubric: the judge room's rubric that decides what was done.
        panel: who is asked beside it.
        judges: revisions of that rubric and of the panel's.
    """
    asked = [_asked(panel), judges.opinion_rubric] if panel else []
    return JudgingStep(
        evaluation=evaluation,
        rubric=rubric,
        panel=panel,
        digest=digest_of("judging", evaluation.digest, rubric, judges.rubric, asked),
    )


def _asked(panel: Panel) -> dict[str, object]:
    return panel.model_dump(mode="json", exclude={"calibrate"})


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

    def checkpoints(self) -> list[tuple[TrainingStep | GivenModel, int]]:
        """Checkpoints with the fine-tuning tokens behind each; the base has none."""
        loop = self._experiment.loop
        if loop is None:
            return []
        base = self._base(loop)
        arms = [
            (self._arm_training(loop, base, arm, tokens), tokens)
            for arm in loop.arms
            for tokens in arm.tokens
        ]
        return [(base, 0), *arms]

    def checkpoint_evaluation(
        self, checkpoint: TrainingStep | GivenModel, *, tokens: int
    ) -> EvaluationStep:
        """Lay out the measurement of a checkpoint."""
        settings, revisions = self._evaluation, self._revisions
        arm = checkpoint.arm if isinstance(checkpoint, TrainingStep) else BASE_ARM
        occasion = self._revisions.occasion if self._is_promoted(arm, tokens) else ""
        digest = digest_of(
            "evaluation",
            revisions.serving_code,
            settings.of_episodes(),
            self._suite_revisions(settings),
            revisions.judges.rubric,
            self._seed,
            checkpoint.digest,
            *([occasion] if occasion else []),
        )
        return EvaluationStep(
            arm=arm,
            seed=self._seed,
            tokens=tokens,
            subject=checkpoint,
            episodes=self._num_episodes(settings),
            digest=digest,
            occasion=occasion,
        )

    def _is_promoted(self, arm: str, tokens: int) -> bool:
        """Whether a promotion decides over new evaluations of it, each time it goes on."""
        promotion = self._experiment.promotion
        subjects = promotion.subjects(self._experiment.budgets) if promotion else ()
        return (arm, tokens) in subjects

    def hosted_evaluation(self, model: HostedModel) -> EvaluationStep:
        """Lay out the measurement of a model that somebody hosts."""
        settings, occasion = self._evaluation, self._revisions.occasion
        digest = digest_of(
            "hosted evaluation",
            model.endpoint,
            model.model,
            settings.of_episodes(),
            self._suite_revisions(settings),
            self._revisions.judges.rubric,
            self._seed,
            *([occasion] if occasion else []),
        )
        return EvaluationStep(
            arm=model.name,
            seed=self._seed,
            tokens=0,
            subject=model,
            episodes=self._num_episodes(settings),
            digest=digest,
            occasion=occasion,
        )

    @property
    def _evaluation(self) -> Evaluation:
        settings = self._experiment.evaluation
        assert isinstance(settings, Evaluation), "what is trained or hosted is measured"
        return settings

    def _suite_revisions(self, settings: Evaluation) -> dict[str, str]:
        return {suite: self._revisions.suites[suite] for suite in settings.suites}

    def _num_episodes(self, settings: Evaluation) -> int:
        scenarios = sum(self._revisions.episodes_by_suite[suite] for suite in settings.suites)
        return scenarios * settings.draws_per_scenario * settings.repetitions

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

    def _base(self, loop: Loop) -> TrainingStep | GivenModel:
        if isinstance(loop.base, Base):
            return self._base_training(loop.base)
        assert self._revisions.given is not None, "a given base was looked up"
        return self._revisions.given

    def _base_training(self, base: Base) -> TrainingStep:
        seed = self._seed
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

    def _arm_training(
        self, loop: Loop, base: TrainingStep | GivenModel, arm: Arm, tokens: int
    ) -> TrainingStep:
        # A given model keeps its own chat template unless the file has another.
        template = () if isinstance(base, TrainingStep) else (self._revisions.chat_template,)
        mixture = self._mixture(arm.mix, tokens)
        digest = digest_of(
            "training",
            self._revisions.training_code,
            loop.fine_tuning.model_dump(mode="json"),
            training_seed(self._seed, arm.name, tokens),
            base.digest,
            [part.digest for part in mixture],
            *template,
        )
        return TrainingStep(
            arm=arm.name,
            seed=self._seed,
            tokens=tokens,
            start=base,
            vocabulary=None,
            mixture=mixture,
            digest=digest,
        )
