"""Shows what a plan takes of rented GPUs. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipelines.experiment.compute_cost import (
    ComputeCost,
    GpuRates,
    TrainedSize,
    compute_costs,
    most_generated,
    total,
)
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.planned_sizes import fine_tuned_size, pretrained_size
from pipelines.experiment.runner import Planned
from pipelines.experiment.spec import Base, Experiment
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.experiment.steps import EvaluationStep

UNKNOWN = "?"
BILLION = 10**9


def print_compute(
    planned: Planned,
    experiment: Experiment,
    rates: GpuRates,
    console: Console,
    *,
    places: RunPlaces,
) -> None:
    """Print GPU hours and US dollars by step and in total, of what is not in the store yet."""
    loop = experiment.loop
    fine_tuned = fine_tuned_size(loop, places) if loop else None
    costs = compute_costs(
        planned.graph,
        planned.complete,
        rates,
        pretrained=pretrained_size(loop.base) if loop and isinstance(loop.base, Base) else None,
        fine_tuned=fine_tuned,
        evaluation=experiment.evaluation,
    )
    if not costs:
        return
    console.print(_table(costs, experiment.evaluation, fine_tuned, rates))
    trained = total(cost for cost in costs if not cost.is_most)
    played = total(cost for cost in costs if cost.is_most)
    console.print(
        f"training ~ {_amount(trained)}; playing <= {_amount(played)}; "
        f"together <= {_amount(total(costs))}",
        highlight=False,
    )
    if trained is None:
        console.print(
            "the size of the base is not known: import it, or set base.parameters", style="yellow"
        )


def _table(
    costs: Sequence[ComputeCost],
    evaluation: Evaluation | None,
    size: TrainedSize | None,
    rates: GpuRates,
) -> Table:
    table = Table(title="what GPUs would be busy with")
    for column in ("step", "what", "tokens", "GPU hours", "USD"):
        table.add_column(column, justify="left" if column in {"step", "what"} else "right")
    for cost in costs:
        sign, kind, tokens = "~", "training", cost.step.tokens
        if isinstance(cost.step, EvaluationStep):
            assert evaluation is not None, "what is played has limits"
            sign, kind, tokens = "<=", "evaluation", most_generated(cost.step, evaluation)
        table.add_row(
            kind,
            cost.step.label,
            f"{sign} {tokens:,}" if cost.is_most else f"{tokens:,}",
            _number(sign, cost.gpu_hours),
            _number(sign, cost.usd),
        )
    table.caption = _caption(size, rates)
    return table


def _caption(size: TrainedSize | None, rates: GpuRates) -> str:
    model = "a model of unknown size"
    if size is not None:
        kind = "6 operations for each parameter and token"
        if size.adapters is not None:
            kind = "4 operations for each frozen parameter and token, 6 for the adapters'"
        model = f"{kind}, {size.parameters / BILLION:.3g} billion parameters"
    return (
        f"training: {model}, {rates.training_utilisation:.0%} of {rates.gpu_teraflops:g} TFLOPS; "
        "playing: all turns at full length, "
        f"{rates.generated_tokens_per_gpu_second:,.0f} tokens a second and GPU; "
        f"{rates.usd_per_gpu_hour:g} USD a GPU hour"
    )


def _number(sign: str, value: float | None) -> str:
    return UNKNOWN if value is None else f"{sign} {value:,.2f}"


def _amount(found: tuple[float, float] | None) -> str:
    if found is None:
        return f"{UNKNOWN} GPU hours"
    return f"{found[0]:,.1f} GPU hours, {found[1]:,.2f} US dollars"
