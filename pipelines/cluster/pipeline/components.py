"""The components of the pipeline: three lines each, which call what this package installs.

Kubeflow ships the text of each function alone, so that they import what they call, and reads their
annotations, so that these are its own and stand unquoted.
"""

# ruff: noqa: PLC0415 - a shipped function imports inside itself

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from kfp import dsl


def plan(bundle: dict[str, Any], cluster: dict[str, Any], occasion: str, parts: int) -> NamedTuple(  # type: ignore[valid-type]
    "Planned",
    [
        ("plan", str),
        ("contrasts", list),
        ("datasets", list),
        ("bases", list),
        ("arms", list),
        ("others", list),
        ("calibrations", list),
        ("judgings", list),
    ],
):
    """Keep the experiment in the store and say what is still to be done."""
    from pipelines.cluster.pipeline.tasks import plan_run

    return plan_run(bundle, cluster, occasion, parts)


def step(plan: str, digest: str, shards: str = "") -> str:
    """Carry out one step, or play a part of an evaluation."""
    from pipelines.cluster.pipeline.tasks import carry_out_step

    return carry_out_step(plan, digest, shards)


def finish(plan: str, page: dsl.Output[dsl.HTML], numbers: dsl.Output[dsl.Artifact]) -> None:
    """Record every evaluation, report, and promote."""
    from pipelines.cluster.pipeline.tasks import finish_run

    finish_run(plan, page=page.path, numbers=numbers.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The three functions as components."""

    plan: Callable[..., Any]
    step: Callable[..., Any]
    finish: Callable[..., Any]


def components_of(image: str) -> Components:
    """Make the components for an image that holds this project and Kubeflow's own library."""
    made = (
        dsl.component(function, base_image=image, install_kfp_package=False)
        for function in (plan, step, finish)
    )
    return Components(**dict(zip(("plan", "step", "finish"), made, strict=True)))
