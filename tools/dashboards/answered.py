"""A panel with its answers, and how values, times and colours are shown. Draws nothing else."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from tools.dashboards.asking import Series

COLORS = {
    "green": "#1a7f37",
    "red": "#cf222e",
    "blue": "#0969da",
    "orange": "#bc6c00",
    "purple": "#8250df",
    "text": "#57606a",
}
PALETTE = tuple(f"C{index}" for index in range(10))
FAINT = "#d0d7de"
INK = "#24292f"
SMALL = 7.5
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An event over all panels."""

    time: float
    color: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A panel, and the series of each of its queries by its letter."""

    panel: Mapping[str, Any]
    title: str
    series: Mapping[str, Sequence[Series]]
    start: float
    end: float
    step: float
    marks: Sequence[Mark] = ()

    @property
    def defaults(self) -> Mapping[str, Any]:
        """How every field is shown."""
        found: Mapping[str, Any] = self.panel["fieldConfig"]["defaults"]
        return found

    @property
    def named(self) -> list[tuple[str, Series]]:
        """All series with the names that legends give them."""
        return [
            (each.name(target["legendFormat"]), each)
            for target in self.panel["targets"]
            for each in self.series[target["refId"]]
        ]

    def overrides(self, name: str) -> dict[str, Any]:
        """What is shown otherwise for one field."""
        return {
            each["id"]: each["value"]
            for override in self.panel["fieldConfig"]["overrides"]
            if override["matcher"]["options"] == name
            for each in override["properties"]
        }


def shown(value: float, unit: str, decimals: int | None) -> str:
    """Write a value in its unit, briefly."""
    if not math.isfinite(value):
        return "-"
    if unit in _IN_WORDS:
        return _IN_WORDS[unit](value, decimals)
    suffix = "/s" if unit in {"reqps", "cps"} else ""
    return f"{value:.{decimals}f}{suffix}" if decimals is not None else f"{value:.4g}{suffix}"


def _duration(seconds: float, _decimals: int | None) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{1000 * seconds:.3g} ms" if seconds else "0"


_IN_WORDS: Mapping[str, Callable[[float, int | None], str]] = {
    "percentunit": lambda value, decimals: f"{100 * value:.{decimals or 0}f} %",
    "percent": lambda value, decimals: f"{value:.{decimals or 0}f} %",
    "bytes": lambda value, _: f"{value / 2**20:.0f} MiB",
    "s": _duration,
    "dateTimeAsIso": lambda value, _: f"{datetime.fromtimestamp(value / 1000, UTC):%d %b %H:%M}",
    "currencyUSD": lambda value, _: f"${value:.2f}",
}


def at(seconds: float) -> float:
    """Matplotlib counts days."""
    return seconds / _DAY_SECONDS


def color_of(special: Mapping[str, Any]) -> str | None:
    """The colour that is chosen for one series."""
    color = special.get("color")
    return COLORS[color["fixedColor"]] if color else None


def time_axis(axes: Axes, answered: Answered) -> None:
    """Give a drawing the time range of the page, and no frame."""
    axes.set_xlim(at(answered.start), at(answered.end))
    locator: Any = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    )
    axes.tick_params(labelsize=SMALL, colors=COLORS["text"], length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
