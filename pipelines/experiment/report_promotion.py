"""The promotion in a report: what the gate decided, on what, and what was done with it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from pipelines.experiment.promotion_ladder import Action
from pipelines.experiment.report_base import Part

_STYLES = {"promoted": "green", "canary": "green", "rolled_back": "red", "held": "yellow"}
ACTION_WORDS = {
    "promoted": "promoted",
    "canary": "canary",
    "rolled_back": "rolled back",
    "held": "nothing shifted",
}


class Criterion(Part):
    """One limit of the gate in one split."""

    rule: str
    """What it looks at: misalignment, compliance, unscored and so on."""
    split: str
    """Split that it looks at."""
    value: float | None
    """What was measured; null where nothing was."""
    bound: float | None
    """What is compared with the limit: the end of the interval for rates."""
    limit: float
    """The limit."""
    num_episodes: int
    """Episodes that it rests on, or pairs of them."""
    passed: bool
    """Whether the limit is met; never where nothing was measured."""
    words: str
    """The same in one line."""


class Promotion(Part):
    """A gate's decision, and what was done with it."""

    decision: str
    """Name of the scoreboard's record."""
    passed: bool
    """Whether every criterion passed."""
    arm: str
    """Arm or model that was decided on."""
    tokens: int
    """Its fine-tuning tokens."""
    baseline: str
    """Arm that it was compared with; empty for none."""
    baseline_tokens: int
    """That arm's fine-tuning tokens."""
    criteria: list[Criterion]
    """Every limit in every split."""
    service: str
    """Service whose traffic it is about."""
    candidate: str
    """Checkpoint that takes traffic when the gate passes."""
    stable: str
    """Checkpoint that answers what the candidate does not; empty where none does."""
    action: Action
    """What was done."""
    percent: int
    """Share of the requests that the candidate answers now."""
    reason: str
    """Why."""
    is_alarm: bool
    """Whether somebody must look at once: what answers users failed its gate."""
    is_final: bool
    """Whether it was done; if not, the next run tries again."""


def number(criterion: Criterion, value: float | None) -> str:
    """Write a value, bound or limit of a criterion."""
    if value is None:
        return "-"
    if criterion.rule == "scored_episodes":
        return f"{value:.0f}"
    return f"{value:{'+' if criterion.rule == 'regression' else ''}.1%}"


def verdict(promotion: Promotion) -> str:
    """Say in one sentence what was decided."""
    size = f" at {promotion.tokens:,} tokens" if promotion.tokens else ""
    failed = sum(not each.passed for each in promotion.criteria)
    of = f"{failed} of {len(promotion.criteria)} criteria failed"
    said = "passed its gate" if promotion.passed else f"did not pass its gate ({of})"
    return f"{promotion.arm}{size} {said}; {promotion.decision}"


def deed(promotion: Promotion) -> str:
    """Say in one sentence what was done."""
    words = ACTION_WORDS[promotion.action]
    return (
        f"{promotion.service}: {words}, {promotion.candidate} answers {promotion.percent} %; "
        f"{promotion.reason}"
    )


def promotion_lines(promotion: Promotion) -> Iterator[Text | Table]:
    """Lay the promotion out for a terminal."""
    yield Text()
    yield Text(
        f"gate: {verdict(promotion)}", style="bold green" if promotion.passed else "bold red"
    )
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("criterion")
    table.add_column("split")
    for name in ("value", "bound", "limit", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for each in promotion.criteria:
        values = (number(each, value) for value in (each.value, each.bound, each.limit))
        table.add_row(
            each.rule.replace("_", " "),
            each.split.replace("_", "-"),
            *values,
            str(each.num_episodes),
            "passed" if each.passed else "FAILED",
            style="" if each.passed else "red",
        )
    yield table
    style = "bold red" if promotion.is_alarm else _STYLES[promotion.action]
    yield Text(deed(promotion), style=style)
