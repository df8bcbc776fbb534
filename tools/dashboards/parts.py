"""What a dashboard consists of, in the few words that ours need. Knows no JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

GRID_WIDTH: Final = 24


class Kind(StrEnum):
    """How a panel draws."""

    LINES = "timeseries"
    NUMBERS = "stat"
    TABLE = "table"
    HEATMAP = "heatmap"
    STATES = "state-timeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression, and what its series are called."""

    expression: str
    legend: str = ""
    """Name of a series with labels in double braces; in a table, the name of its column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Two series of a panel between which it is filled: the interval of a third."""

    lower: str
    upper: str
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one series of a panel is drawn where it differs from the others."""

    name: str
    color: str
    is_dashed: bool = False
    unit: str | None = None
    """A unit of its own puts it on the right axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column of a table is shown."""

    name: str
    unit: str = "short"
    decimals: int | None = None
    states: Mapping[str, "State"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Word and colour for a value."""

    text: str
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One drawing and what is said about it."""

    title: str
    reading: str
    """How to read it, and what is not in it."""
    queries: Sequence[Query]
    kind: Kind = Kind.LINES
    unit: str = "short"
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    width: int = 12
    height: int = 8
    steps: Mapping[float, str] = field(default_factory=dict)
    """Colour from each value on; below the first it is green."""
    states: Mapping[str, State] = field(default_factory=dict)
    band: Band | None = None
    lines: Sequence[Line] = ()
    columns: Sequence[Column] = ()
    by: Sequence[str] = ()
    """Of a table: the labels that make its first columns."""
    is_stacked: bool = False
    repeat: str | None = None
    """The variable for each of whose values the panel is drawn once."""
    when_empty: str = "nothing yet"
    """What stands there without data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and the panels below it, left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top: values of a label."""

    name: str
    label: str
    metric: str
    """Of which series the values are; may have label matchers."""
    source_label: str
    is_multiple: bool = True
    is_listed: bool = False
    """Whether "all" means the values found: where it is matched with series of others as well."""
    first: str | None = None
    """What is chosen first; None: everything, or of a single choice the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A mark over all panels of a dashboard, at the time that is the expression's value."""

    name: str
    expression: str
    """In milliseconds since 1970."""
    title: str
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One page for one audience."""

    name: str
    """Of its file, and the end of its uid."""
    title: str
    description: str
    variables: Sequence[Variable]
    sections: Sequence[Section]
    events: Sequence[Event] = ()
    span: str = "now-6h"
    refresh: str = "30s"
