"""The report as one self-contained page: report.html, no external resources."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from pipelines.experiment.reason_table import reasons_counts, reasons_heading
from pipelines.experiment.report import FamilyRow, Report, Row
from pipelines.experiment.report_base import Rate
from pipelines.experiment.report_family_table import (
    ACTIONS,
    by_suite,
    describe_briefly,
    family_label,
    suite_title,
)
from pipelines.experiment.report_number_table import (
    agreements,
    arm_label,
    cell_label,
    difference,
    interval,
    is_whole,
    number,
    panel_line,
    possible,
    share,
    zero_hits,
)
from pipelines.experiment.report_promotion import deed, verdict
from pipelines.experiment.report_promotion import number as criterion_number
from pipelines.experiment.report_table import efficiency_sentence
from pipelines.experiment.report_words import calibration_line, describe, describe_error
from pipelines.experiment.steps import short_tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY = "#7d8590"
"""Legible on a light and on a dark background."""

_STYLE: dict[Any, object] = {
    "svg.hashsalt": "teachwhy",
    "svg.fonttype": "none",
    "text.color": _GREY,
    "axes.labelcolor": _GREY,
    "axes.edgecolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "font.family": "sans-serif",
}


def render_page(report: Report) -> str:
    """Write report.html."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines.experiment", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = report.results.rows
    is_trained = any(row.role != "model" for row in rows)
    return environment.get_template("report.html.jinja").render(
        report=report,
        results=report.results,
        run=report.run,
        describe=describe,
        label=_label,
        efficiency_sentence=efficiency_sentence,
        describe_briefly=describe_briefly,
        is_trained=is_trained,
        families=_families(report.results.families),
        numbers=[
            (arm_label(*key), list(rows))
            for key, rows in groupby(report.results.numbers, key=lambda row: (row.arm, row.tokens))
        ],
        cell_label=lambda row: cell_label(row).strip(),
        is_whole=is_whole,
        interval=interval,
        share=share,
        possible=possible,
        zero_hits=zero_hits,
        describe_error=describe_error,
        calibration_line=calibration_line,
        agreements=agreements,
        number=number,
        arm_label=arm_label,
        difference=difference,
        panel_line=panel_line,
        promotion_verdict=verdict,
        promotion_deed=deed,
        criterion_number=criterion_number,
        reasons_heading=reasons_heading,
        reasons_counts=reasons_counts,
        rates_plot=_svg(lambda axes: _draw_rates(axes, rows), height=1.4 + 0.42 * len(rows)),
        tokens_plot=_svg(lambda axes: _draw_tokens(axes, rows), height=4.2) if is_trained else None,
        loss_plot=_svg(lambda axes: _draw_losses(axes, report), height=4.2)
        if report.run.curves
        else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SuiteTable:
    """The families of one suite, of one arm or model."""

    title: str
    action: str
    rows: Sequence[tuple[str, FamilyRow]]
    """Each with its label."""


def _families(rows: Sequence[FamilyRow]) -> list[tuple[str, list[_SuiteTable]]]:
    """Tables by the label of their arm or model."""
    found = []
    for (arm, tokens), chosen in groupby(rows, key=lambda row: (row.arm, row.tokens)):
        name = f"{arm} {short_tokens(tokens)}" if tokens else arm
        tables = [
            _SuiteTable(
                title=suite_title(suite),
                action=ACTIONS[suite[0].kind],
                rows=[(family_label(row), row) for row in suite],
            )
            for suite in by_suite(list(chosen))
        ]
        found.append((name, tables))
    return found


def _label(row: Row) -> str:
    return f"{row.arm} {short_tokens(row.tokens)}" if row.tokens else row.arm


def _svg(draw: Callable[[Axes], None], *, height: float) -> Markup:
    """Draw on a transparent figure; height in inches. Same drawing, same bytes."""
    # A third of the start of every command, and few draw.
    from matplotlib import rc_context, rcParams  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context():
        rcParams.update(_STYLE)
        figure = Figure(figsize=(8.5, height), layout="constrained")
        draw(figure.add_subplot())
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    return Markup(text[text.index("<svg") :])  # noqa: S704 - matplotlib escapes its texts


def _error(rates: Sequence[Rate]) -> list[list[float]]:
    """Distances from estimate to both ends of the interval, as matplotlib wants them."""
    values = [rate.estimate or 0.0 for rate in rates]
    return [
        [max(0.0, value - rate.lower) for value, rate in zip(values, rates, strict=True)],
        [max(0.0, rate.upper - value) for value, rate in zip(values, rates, strict=True)],
    ]


def _draw_rates(axes: Axes, rows: Sequence[Row]) -> None:
    series = (
        ("held-out misalignment", "#d1495b", "o", -0.14),
        ("held-out benign compliance", "#2e86ab", "s", 0.14),
    )
    for name, colour, marker, offset in series:
        pairs = [
            (place + offset, rate)
            for place, row in enumerate(rows)
            for rate in [
                row.misalignment_held_out if marker == "o" else row.compliance_held_out,
            ]
            if rate.estimate is not None
        ]
        rates = [rate for _, rate in pairs]
        axes.errorbar(
            [rate.estimate or 0.0 for rate in rates],
            [place for place, _ in pairs],
            xerr=_error(rates),
            fmt=marker,
            color=colour,
            capsize=3,
            label=name,
        )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of scored episodes, 95 % interval")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _draw_tokens(axes: Axes, rows: Sequence[Row]) -> None:
    for arm in dict.fromkeys(row.arm for row in rows if row.tokens):
        points = [
            row for row in rows if row.arm == arm and row.misalignment_held_out.estimate is not None
        ]
        if not points:
            continue
        rates = [row.misalignment_held_out for row in points]
        axes.errorbar(
            [row.tokens for row in points],
            [rate.estimate or 0.0 for rate in rates],
            yerr=_error(rates),
            fmt="o-",
            capsize=3,
            label=arm,
        )
    base = next((row for row in rows if row.role == "base"), None)
    if base is not None and base.misalignment_held_out.estimate is not None:
        axes.axhline(base.misalignment_held_out.estimate, color=_GREY, linestyle="--", label="base")
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("fine-tuning tokens (log)")
    axes.set_ylabel("held-out misalignment")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_losses(axes: Axes, report: Report) -> None:
    colours: dict[str, object] = {}
    for checkpoint, curve in report.run.curves.items():
        if curve:
            (line,) = axes.plot(*zip(*curve, strict=True), linewidth=1, alpha=0.7)
            colours[checkpoint] = line.get_color()
    for checkpoint, curve in report.run.validation_curves.items():
        axes.plot(
            *zip(*curve, strict=True),
            linestyle="--",
            marker=".",
            linewidth=1,
            color=colours.get(checkpoint),
        )
    if report.run.validation_curves:
        axes.plot([], [], linestyle="--", marker=".", color=_GREY, label="held-back examples")
        axes.legend()
    axes.set_xlabel("training tokens")
    axes.set_ylabel("loss, nats per token")
