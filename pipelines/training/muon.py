"""Muon for the matrices of a network, AdamW for the rest. Knows no model and no schedule.

Muon's update is the one of torch.optim.Muon (Jordan 2024, quintic Newton-Schulz in bfloat16), but
matrices of one shape are orthogonalised together by batched products: one by one, launching
the products costs a small model more time than computing them.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_SMALLEST_NORM = 1e-7


class MuonWithAdam(torch.optim.AdamW):
    """One optimizer with one state, so that trainers can save, schedule and resume it."""

    def __init__(
        self,
        *,
        matrices: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        muon: dict[str, float],
        adam: dict[str, Any],
    ) -> None:
        """Keep a group for each shape of matrices, up to transposition, and one for the others.

        Args:
            matrices: two-dimensional parameters for Muon.
            others: parameters for AdamW.
            muon: lr, momentum and weight_decay of the matrices.
            adam: lr, betas and weight_decay of the others.
        """
        groups = [{"params": same, "is_muon": True, **muon} for same in _by_shape(matrices)]
        if others:
            groups.append({"params": list(others), "is_muon": False, "momentum": 0.0, **adam})
        super().__init__(groups, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter; the gradients of the matrices are used up."""
        for group in self.param_groups:
            if group["is_muon"]:
                self._step_matrices(group)
        # AdamW passes over parameters without a gradient: by now, all of Muon's.
        super().step(closure)

    def _step_matrices(self, group: dict[str, Any]) -> None:
        parameters: list[torch.nn.Parameter] = group["params"]
        gradients = torch.stack([_wide(_gradient(each)) for each in parameters])
        state = self.state[parameters[0]]
        if not state:
            # AdamW, when it loads a state, looks for the step of every one.
            state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(gradients))
        state["step"] += 1
        buffer: torch.Tensor = state["momentum"]
        buffer.lerp_(gradients, 1 - group["momentum"])
        updates = orthogonalise(torch.lerp(gradients, buffer, group["momentum"]))
        for parameter, update in zip(parameters, updates, strict=True):
            rows, columns = parameter.shape
            scale = group["lr"] * math.sqrt(max(1.0, rows / columns))
            if group["weight_decay"]:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.T if rows > columns else update, alpha=-scale)
            parameter.grad = None


def _by_shape(matrices: Iterable[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
    shapes: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
    for matrix in matrices:
        shapes.setdefault(tuple(sorted(matrix.shape)), []).append(matrix)
    return list(shapes.values())


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _wide(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Push the singular values of [n, rows <= columns] matrices towards 1, in bfloat16."""
    a, b, c = _COEFFICIENTS
    x = matrices.bfloat16()
    norms = x.flatten(1).norm(dim=1).clamp(min=_SMALLEST_NORM)
    x = x / norms[:, None, None]
    for _ in range(_ITERATIONS):
        gram = torch.bmm(x, x.transpose(1, 2))
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x
