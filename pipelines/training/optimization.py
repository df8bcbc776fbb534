"""Which parameter is updated how, and the learning rate over time. Knows no data."""

import math
from collections.abc import Sequence

import torch

from pipelines.training.muon import MuonWithAdam
from pipelines.training.spec import OptimizerSpec, ScheduleSpec

_MATRIX_DIMENSIONS = 2


def learning_rate_factor(schedule: ScheduleSpec, share: float) -> float:
    """Share of the peak learning rate after this share of the tokens."""
    if share < schedule.warmup_share:
        return share / schedule.warmup_share
    past = (share - schedule.warmup_share) / (1 - schedule.warmup_share)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, past)))
    return schedule.final_share + (1 - schedule.final_share) * cosine


def make_schedule(
    optimizer: torch.optim.Optimizer, schedule: ScheduleSpec, tokens_after: Sequence[int]
) -> torch.optim.lr_scheduler.LambdaLR:
    """Follow the schedule over tokens; tokens_after[i] is how many step i (from 0) ends with."""

    def factor(step: int) -> float:
        # The scheduler also asks for the step after the last.
        tokens = tokens_after[min(step, len(tokens_after) - 1)]
        return learning_rate_factor(schedule, tokens / tokens_after[-1])

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def make_optimizer(
    network: torch.nn.Module, tables: frozenset[int], spec: OptimizerSpec
) -> MuonWithAdam:
    """Choose how each trainable parameter is updated.

    Args:
        network: only its trainable parameters are updated.
        tables: ids of parameters that Muon is not made for: embeddings and output head.
        spec: learning rates and decays.
    """
    trainable = [each for each in network.parameters() if each.requires_grad]
    rate = spec.muon_learning_rate
    matrices = [
        each
        for each in trainable
        if rate is not None and each.ndim == _MATRIX_DIMENSIONS and id(each) not in tables
    ]
    chosen = {id(each) for each in matrices}
    return MuonWithAdam(
        matrices=matrices,
        others=[each for each in trainable if id(each) not in chosen],
        muon={
            "lr": rate or 0.0,
            "momentum": spec.muon_momentum,
            "weight_decay": spec.muon_weight_decay,
        },
        adam={
            "lr": spec.adam_learning_rate,
            "betas": spec.adam_betas,
            "weight_decay": spec.adam_weight_decay,
        },
    )
