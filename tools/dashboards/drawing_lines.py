"""Panels of lines over time, drawn by matplotlib: intervals as bands, events as dotted lines."""

import itertools
import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from tools.dashboards.answered import (
    COLORS,
    FAINT,
    PALETTE,
    SMALL,
    Answered,
    at,
    color_of,
    shown,
    time_axis,
)
from tools.dashboards.asking import Series

_NARROW = 8
"""Up to this width, of 24, names stand below each other."""


def draw_lines(axes: Axes, answered: Answered) -> None:
    """Draw a panel of lines, or of areas on top of each other."""
    custom, named = answered.defaults["custom"], answered.named
    by_name = dict(named)
    if custom["stacking"]["mode"] == "normal":
        _draw_stacked(axes, named, answered.step)
    for index, (name, series) in enumerate(named):
        special = answered.overrides(name)
        color = color_of(special) or PALETTE[index % len(PALETTE)]
        times, values = _gapped(series, answered.step)
        if partner := special.get("custom.fillBelowTo"):
            _fill(axes, by_name.get(partner), series, color)
        width = special.get("custom.lineWidth", custom["lineWidth"])
        if width and custom["stacking"]["mode"] == "none":
            style = "--" if "custom.lineStyle" in special else "-"
            axes.plot(times, values, style, color=color, linewidth=width * 0.8, label=name)
    _thresholds(axes, answered)
    _frame_of_lines(axes, answered)


def _fill(axes: Axes, lower: Series | None, upper: Series, color: object) -> None:
    low = dict(lower.points) if lower else {}
    shared = [(time, value) for time, value in upper.points if time in low]
    times = [at(time) for time, _ in shared]
    axes.fill_between(
        times,
        [low[time] for time, _ in shared],
        [value for _, value in shared],
        color=color,
        alpha=0.25,
        linewidth=0,
        step="post",
    )


def _draw_stacked(axes: Axes, named: Sequence[tuple[str, Series]], step: float) -> None:
    known = sorted({time for _, series in named for time, _ in series.points})
    # Where nothing is known for longer than a step there is nothing, and no slope towards it.
    gaps = (
        edge
        for before, after in itertools.pairwise(known)
        if after - before > 1.5 * step
        for edge in (before + 0.01 * step, after - 0.01 * step)
    )
    moments = sorted({*known, *gaps})
    rows = [
        [value if math.isfinite(value) else 0.0 for value in map(_lookup(series), moments)]
        for _, series in named
    ]
    times = [at(time) for time in moments]
    axes.stackplot(times, rows, labels=[name for name, _ in named], alpha=0.7)


def _lookup(series: Series) -> Callable[[float], float]:
    found = dict(series.points)
    return lambda time: found.get(time, 0.0)


def _thresholds(axes: Axes, answered: Answered) -> None:
    if answered.defaults["custom"]["thresholdsStyle"]["mode"] == "dashed":
        for step in answered.defaults["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=COLORS[step["color"]], linewidth=0.7, linestyle=":")


def _legend(axes: Axes, *, width: int, height: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if len(labels) > 1 and width > _NARROW else 1
    most = (height - 4) * columns
    hidden = len(labels) - most
    if hidden > 0:
        handles, labels = handles[: most + 1], labels[: most + 1]
        labels[-1] = f"and {hidden} more"
    if handles:
        axes.legend(
            handles,
            labels,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.08),
            ncols=columns,
            fontsize=SMALL - 1,
            frameon=False,
            columnspacing=1,
            handlelength=1.4,
        )


def _frame_of_lines(axes: Axes, answered: Answered) -> None:
    defaults = answered.defaults
    time_axis(axes, answered)
    low, high = axes.get_ylim()
    axes.set_ylim(defaults.get("min", low), max(high, defaults.get("max", high)))
    for mark in answered.marks:
        axes.axvline(
            at(mark.time),
            color=COLORS[mark.color],
            linewidth=0.8,
            linestyle=(0, (2, 2)),
            alpha=0.8,
        )
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, defaults["unit"], None))
    axes.grid(color=FAINT, linewidth=0.5)
    grid = answered.panel["gridPos"]
    _legend(axes, width=grid["w"], height=grid["h"])


def _gapped(series: Series, step: float) -> tuple[list[float], list[float]]:
    """Times and values, with no number where steps are missing, so that no line bridges them."""
    times: list[float] = []
    values: list[float] = []
    for time, value in series.points:
        if times and at(time) - times[-1] > at(1.5 * step):
            times.append(at(time))
            values.append(math.nan)
        times.append(at(time))
        values.append(value)
    return times, values
