"""Draw a dashboard's queries from a live Prometheus: a picture of the numbers, not of Grafana."""

import argparse
import io
import itertools
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from tools.dashboards.answered import COLORS, Answered, Mark
from tools.dashboards.asking import Page, Prometheus, Span, chosen, filled, read_page
from tools.dashboards.drawing import draw

_INCHES_OF_A_UNIT = 0.44
_WIDTH_INCHES = 12.0
_GRID_WIDTH = 24
_HEAD = 2.2
_MARGINS = {"table": (0.25, 0.3), "stat": (0.25, 0.3), "state-timeline": (4.2, 1.0)}
"""Room for names on the left and below, in units of the grid."""
_COLORS_OF_THE_FILE = 128
_HEADING = "rendered from the dashboard's queries, not Grafana"


def render(
    page: Page,
    prometheus: Prometheus,
    span: Span,
    output: Path,
    *,
    choices: Mapping[str, str],
    sections: frozenset[str],
) -> None:
    """Write a PNG of the sections whose headings begin with one of these; none: of all."""
    values = chosen(page, prometheus, span, choices)
    placed = list(_placed(page, prometheus, span, values, sections))
    height = max(y + h for _, _, (_, y, _, h) in placed)
    mpl.use("Agg")
    figure = Figure(figsize=(_WIDTH_INCHES, (height + _HEAD) * _INCHES_OF_A_UNIT), dpi=100)
    total = height + _HEAD
    _headline(figure, page, values, total)
    marks = _marks(page, prometheus, span, values)
    for panel, own, (x, y, width, tall) in placed:
        bottom = 1 - (y + tall + _HEAD) / total
        if panel["type"] == "row":
            figure.text(
                0.01, bottom + 0.3 / total, panel["title"], fontsize=11, color=COLORS["blue"]
            )
            continue
        left, below = _MARGINS.get(panel["type"], (1.3, 2.0))
        axes = figure.add_axes(
            (
                (x + left) / _GRID_WIDTH,
                bottom + below / total,
                (width - left - 0.4) / _GRID_WIDTH,
                (tall - below - 0.9) / total,
            )
        )
        draw(axes, _answered(panel, prometheus, span, own, marks))
    output.parent.mkdir(parents=True, exist_ok=True)
    _write(figure, output)


def _headline(figure: Figure, page: Page, values: Mapping[str, str], total: float) -> None:
    choices = "; ".join(
        f"{each['label'].lower()}: {values[each['name']].replace('|', ', ')}"
        for each in page.variables
        if values[each["name"]] != ".*"
    )
    y = 1 - 0.8 / total
    figure.text(0.01, y, page.content["title"], fontsize=15, fontweight="bold")
    figure.text(0.99, y, _HEADING, ha="right", fontsize=10, style="italic", color=COLORS["red"])
    figure.text(0.01, y - 0.7 / total, choices, fontsize=8, color=COLORS["text"])


def _placed(
    page: Page,
    prometheus: Prometheus,
    span: Span,
    values: Mapping[str, str],
    sections: frozenset[str],
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, str], tuple[float, float, float, float]]]:
    """Yield every panel with its variables and place, repeated ones for each value."""
    is_wanted, down = not sections, 0.0
    for _, shelf in itertools.groupby(page.panels, key=lambda panel: panel["gridPos"]["y"]):
        panels = list(shelf)
        if panels[0]["type"] == "row" and sections:
            is_wanted = any(panels[0]["title"].startswith(each) for each in sections)
        if not is_wanted:
            continue
        tallest = 0.0
        for panel in panels:
            grid = panel["gridPos"]
            if "repeat" not in panel:
                yield panel, values, (grid["x"], down, grid["w"], grid["h"])
                tallest = max(tallest, grid["h"])
                continue
            for index, value in enumerate(
                _repeated(page, panel["repeat"], prometheus, span, values)
            ):
                row, column = divmod(index, panel["maxPerRow"])
                place = (column * grid["w"], down + row * grid["h"], grid["w"], grid["h"])
                yield panel, {**values, panel["repeat"]: value}, place
                tallest = max(tallest, (row + 1) * grid["h"])
        down += tallest


def _repeated(
    page: Page, name: str, prometheus: Prometheus, span: Span, values: Mapping[str, str]
) -> list[str]:
    (variable,) = (each for each in page.variables if each["name"] == name)
    found = prometheus.label_values(filled(variable["query"]["query"], values), span)
    return [value for value in found if re.fullmatch(values[name], value)]


def _answered(
    panel: Mapping[str, Any],
    prometheus: Prometheus,
    span: Span,
    values: Mapping[str, str],
    marks: tuple[Mark, ...],
) -> Answered:
    series = {}
    for target in panel["targets"]:
        expression = filled(target["expr"], values)
        series[target["refId"]] = (
            prometheus.at(expression, span.end)
            if target["instant"]
            else prometheus.over(expression, span)
        )
    title = filled(panel["title"], values)
    return Answered(
        panel=panel,
        title=title,
        series=series,
        start=span.start,
        end=span.end,
        step=span.step,
        marks=marks,
    )


def _marks(
    page: Page, prometheus: Prometheus, span: Span, values: Mapping[str, str]
) -> tuple[Mark, ...]:
    """An event's time is its value in milliseconds; the same one is seen at many scrapes."""
    found = {
        Mark(time=value / 1000, color=event["iconColor"], title=series.name(event["titleFormat"]))
        for event in page.events
        for series in prometheus.over(filled(event["expr"], values), span)
        for _, value in series.points
    }
    shown = (mark for mark in found if span.start <= mark.time <= span.end)
    return tuple(sorted(shown, key=lambda mark: (mark.time, mark.color, mark.title)))


def _write(figure: Figure, output: Path) -> None:
    """Write few colours, which makes a third of the bytes."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(_COLORS_OF_THE_FILE, dither=Image.Dither.NONE)
    few.save(output, optimize=True)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(prog="python -m tools.render_dashboard", description=__doc__)
    parser.add_argument("dashboard", type=Path, help="JSON file")
    parser.add_argument("prometheus", help="example: http://127.0.0.1:9090")
    parser.add_argument("output", type=Path, help="PNG file")
    parser.add_argument("--minutes", type=float, default=60, help="how far back")
    parser.add_argument("--end", type=float, default=None, help="seconds since 1970; now")
    parser.add_argument("--scrape-seconds", type=float, default=30, help="between two scrapes")
    parser.add_argument("--choose", action="append", default=[], metavar="VARIABLE=VALUE")
    parser.add_argument("--section", action="append", default=[], help="start of a heading")
    given = parser.parse_args()
    end = given.end or time.time()
    seconds = given.minutes * 60
    span = Span(
        start=end - seconds,
        end=end,
        step=max(1.0, round(seconds / 400)),
        rate_interval=max(4 * given.scrape_seconds, seconds / 100),
    )
    choices = dict(each.split("=", 1) for each in given.choose)
    page, prometheus = read_page(given.dashboard), Prometheus(given.prometheus)
    render(page, prometheus, span, given.output, choices=choices, sections=frozenset(given.section))
    print(f"wrote {given.output}, {given.output.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
