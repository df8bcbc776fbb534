"""What training and playing take of rented GPUs: hours and US dollars. Pure arithmetic.

Training: a token costs 6 operations for each parameter, 2 in the forward pass, 2 for the gradients
of activations and 2 for those of weights (Kaplan et al. 2020, "Scaling Laws for Neural Language
Models", arXiv 2001.08361, section 2.1). Low-rank adapters spare the gradients of the frozen weights
(Hu et al. 2021, "LoRA", arXiv 2106.09685, section 4.2), which leaves 4 for each frozen parameter,
and 6 for each of the adapters'. Left out, as that paper does: the products of attention with the
context, some percent at 4,096 tokens; what gradient checkpointing computes again; loading.

Playing: at most the tokens that all turns of all episodes may generate. Most episodes end earlier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from pipelines.experiment.spec_evaluation import Evaluation, HostedModel
from pipelines.experiment.steps import EvaluationStep, StepGraph, TrainingStep

FORWARD = 2
ACTIVATION_GRADIENTS = 2
WEIGHT_GRADIENTS = 2
TERA = 10**12
SECONDS_PER_HOUR = 3600
TURNS = 20
"""Turns of an episode where the file sets no most: the longest of the shipped scenarios."""


class GpuRates(Protocol):
    """What a GPU costs and does."""

    @property
    def usd_per_gpu_hour(self) -> float:
        """Price."""

    @property
    def gpu_teraflops(self) -> float:
        """Peak of one GPU, in 10^12 operations a second."""

    @property
    def training_utilisation(self) -> float:
        """Share of the peak that training reaches."""

    @property
    def generated_tokens_per_gpu_second(self) -> float:
        """Tokens that one GPU generates in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedSize:
    """What of a model is computed with, and what is trained."""

    parameters: int
    """All of the model, without adapters; of a mixture of experts those that a token sees."""
    adapters: int | None = None
    """Parameters of low-rank adapters, the only ones that are trained; None: all are."""

    @property
    def flops_per_token(self) -> int:
        """Operations to train on one token."""
        full = FORWARD + ACTIVATION_GRADIENTS + WEIGHT_GRADIENTS
        if self.adapters is None:
            return full * self.parameters
        return (FORWARD + ACTIVATION_GRADIENTS) * self.parameters + full * self.adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeCost:
    """What one step takes."""

    step: TrainingStep | EvaluationStep
    gpu_hours: float | None
    """None where the size of the model is not known."""
    usd: float | None

    @property
    def is_most(self) -> bool:
        """Whether it is an upper bound; else it is an estimate."""
        return isinstance(self.step, EvaluationStep)


def compute_costs(
    graph: StepGraph,
    complete: Collection[str],
    rates: GpuRates,
    *,
    pretrained: TrainedSize | None,
    fine_tuned: TrainedSize | None,
    evaluation: Evaluation | None,
) -> list[ComputeCost]:
    """Estimate every step of ``graph`` that needs GPUs and is not complete.

    Args:
        graph: steps.
        complete: digests of those whose outputs are in the store.
        rates: what a GPU costs and does.
        pretrained: size of a base that is trained from configuration; None: not known.
        fine_tuned: size of the model that arms train; None: not known.
        evaluation: limits of episodes.
    """
    trainings = (step for step in graph.trainings if step.digest not in complete)
    played = (step for step in graph.evaluations if step.digest not in complete)
    costs = []
    for training in trainings:
        size = pretrained if training.start is None else fine_tuned
        flops = size.flops_per_token * training.tokens if size else None
        costs.append(_cost(training, training_gpu_hours(flops, rates), rates))
    for step in played:
        if evaluation is not None and not isinstance(step.subject, HostedModel):
            seconds = most_generated(step, evaluation) / rates.generated_tokens_per_gpu_second
            costs.append(_cost(step, seconds / SECONDS_PER_HOUR, rates))
    return costs


def training_gpu_hours(flops: float | None, rates: GpuRates) -> float | None:
    """Hours of one GPU that so many operations take, at the rates' share of its peak."""
    if flops is None:
        return None
    return flops / (rates.gpu_teraflops * TERA * rates.training_utilisation) / SECONDS_PER_HOUR


def most_generated(step: EvaluationStep, evaluation: Evaluation) -> int:
    """Tokens that the episodes of ``step`` generate at most."""
    an_episode = (evaluation.max_turns or TURNS) * evaluation.max_output_tokens
    return step.episodes * min(an_episode, evaluation.max_episode_tokens or an_episode)


def total(costs: Iterable[ComputeCost]) -> tuple[float, float] | None:
    """GPU hours and US dollars of all steps; None where one of them is not known."""
    hours, usd = 0.0, 0.0
    for cost in costs:
        if cost.gpu_hours is None or cost.usd is None:
            return None
        hours, usd = hours + cost.gpu_hours, usd + cost.usd
    return hours, usd


def _cost(
    step: TrainingStep | EvaluationStep, gpu_hours: float | None, rates: GpuRates
) -> ComputeCost:
    usd = None if gpu_hours is None else gpu_hours * rates.usd_per_gpu_hour
    return ComputeCost(step=step, gpu_hours=gpu_hours, usd=usd)
