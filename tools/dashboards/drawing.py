"""Panels drawn by matplotlib from the series that their queries return. Knows no Prometheus."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes

from tools.dashboards.answered import COLORS, FAINT, INK, SMALL, Answered, at, shown, time_axis
from tools.dashboards.drawing_lines import draw_lines

_POINTS_OF_AN_INCH = 72
_LETTER = 0.58
"""Mean width of a letter, in its own size."""


def draw(axes: Axes, answered: Answered) -> None:
    """Draw a panel as Grafana would arrange it, in matplotlib's hand."""
    axes.set_title(answered.title, loc="left", fontsize=9, fontweight="bold", color=INK)
    if not any(answered.series.values()):
        axes.axis("off")
        axes.text(0.5, 0.5, answered.defaults["noValue"], ha="center", color=COLORS["text"])
        return
    _DRAW[answered.panel["type"]](axes, answered)


def _draw_numbers(axes: Axes, answered: Answered) -> None:
    axes.axis("off")
    named = answered.named
    for index, (name, series) in enumerate(named):
        special = answered.overrides(name)
        value = series.points[-1][1]
        unit = special.get("unit", answered.defaults["unit"])
        text = shown(value, unit, special.get("decimals", answered.defaults.get("decimals")))
        y = 1 - (index + 0.6) / len(named)
        size = min(15, 46 / len(named))
        color = COLORS[_step_color(answered.defaults, value)]
        axes.text(0.97, y, text, ha="right", va="center", fontsize=size, color=color)
        axes.text(0.02, y, name, va="center", fontsize=min(9, size), color=INK)


def _draw_table(axes: Axes, answered: Answered) -> None:
    axes.axis("off")
    heads, rows = table_of(answered)
    longest = [
        max(len(head), *(len(row[column][0]) for row in rows)) + 2
        for column, head in enumerate(heads)
    ]
    lefts = [sum(longest[:column]) / sum(longest) for column in range(len(heads))]
    height = 1 / max(6, len(rows) + 1)
    size = min(SMALL + 0.5, _inches(axes) * _POINTS_OF_AN_INCH / (_LETTER * sum(longest)))
    for index, row in enumerate([[(head, COLORS["text"]) for head in heads], *rows]):
        y = 1 - (index + 0.5) * height
        axes.axhline(1 - (index + 1) * height, color=FAINT, linewidth=0.6)
        for (text, color), left in zip(row, lefts, strict=True):
            axes.text(left, y, text, va="center", fontsize=size, color=color)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _inches(axes: Axes) -> float:
    figure = axes.get_figure(root=True)
    assert figure is not None, "it is drawn on one"
    return float(axes.get_position().width * figure.get_figwidth())


def table_of(answered: Answered) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Return heads and rows, each cell with its colour, as the transformations make them."""
    organize = answered.panel["transformations"][-1]["options"]
    renames, places = organize["renameByName"], organize["indexByName"]
    order = sorted(places, key=places.__getitem__)
    labels = [name for name in order if not name.startswith("Value")]
    cells: dict[tuple[str, ...], dict[str, float]] = {}
    for index, target in enumerate(answered.panel["targets"]):
        field = order[len(labels) + index]
        for series in answered.series[target["refId"]]:
            key = tuple(series.labels.get(label, "") for label in labels)
            cells.setdefault(key, {})[field] = series.points[-1][1]
    rows = []
    for key, values in cells.items():
        texts = [(text, INK) for text in key]
        fields = order[len(labels) :]
        rows.append(
            [*texts, *(_cell(answered, renames[each], values.get(each)) for each in fields)]
        )
    return [renames.get(name, name) for name in order], rows


def _cell(answered: Answered, name: str, value: float | None) -> tuple[str, str]:
    if value is None:
        return "", INK
    special = answered.overrides(name)
    for mapping in special.get("mappings", ()):
        if state := mapping["options"].get(f"{value:g}"):
            return state["text"], COLORS[state["color"]]
    return shown(value, special.get("unit", "short"), special.get("decimals")), INK


def _draw_states(axes: Axes, answered: Answered) -> None:
    states = answered.defaults["mappings"][0]["options"]
    named = answered.named
    for index, (_, series) in enumerate(named):
        width = 1.2 * answered.step
        for time, value in series.points:
            left = at(time)
            axes.barh(
                index,
                at(width),
                left=left,
                color=COLORS[states[f"{value:g}"]["color"]],
                height=0.7,
                linewidth=0,
            )
    axes.set_yticks(range(len(named)), [name for name, _ in named])
    axes.set_ylim(len(named) - 0.4, -0.6)
    time_axis(axes, answered)


def _draw_heatmap(axes: Axes, answered: Answered) -> None:
    (found,) = answered.series.values()
    bounds = sorted({float(series.labels["le"]) for series in found})
    by_bound = {float(series.labels["le"]): dict(series.points) for series in found}
    moments = sorted({time for points in by_bound.values() for time in points})
    below = dict.fromkeys(moments, 0.0)
    rows = []
    for bound in bounds:
        counts = {time: by_bound[bound].get(time, 0.0) for time in moments}
        rows.append([max(0.0, counts[time] - below[time]) for time in moments])
        below = counts
    axes.imshow(rows, aspect="auto", origin="lower", cmap="Blues", interpolation="nearest")
    every = max(1, len(bounds) // 6)
    ticks = range(0, len(bounds), every)
    names = [shown(bounds[tick], answered.defaults["unit"], None) for tick in ticks]
    axes.set_yticks(list(ticks), names)
    axes.set_xticks([])
    axes.tick_params(labelsize=SMALL, colors=COLORS["text"], length=0)


def _step_color(defaults: Mapping[str, Any], value: float) -> str:
    found = "green"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return found


_DRAW: Mapping[str, Callable[[Axes, Answered], None]] = {
    "timeseries": draw_lines,
    "stat": _draw_numbers,
    "table": _draw_table,
    "state-timeline": _draw_states,
    "heatmap": _draw_heatmap,
}
