"""The questions of a written dashboard, put to a Prometheus as Grafana would. Draws nothing."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)", re.DOTALL)
_SECONDS_OF_A_QUERY = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time range that a page shows, in seconds since 1970."""

    start: float
    end: float
    step: float = 5.0
    rate_interval: float = 60.0
    """What stands for $__rate_interval: at least four scrapes."""

    @property
    def words(self) -> dict[str, str]:
        """Grafana's own variables."""
        return {
            "__interval": f"{round(self.step)}s",
            "__range": f"{round(self.end - self.start)}s",
            "__rate_interval": f"{round(self.rate_interval)}s",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values over time of one set of labels."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]
    """Seconds since 1970, and a value that may be no number."""

    def name(self, legend: str) -> str:
        """Fill a legend's double braces as Grafana does."""
        return re.sub(
            r"\{\{\s*(\w+)\s*\}\}", lambda found: self.labels.get(found[1], ""), legend
        ) or json.dumps(dict(self.labels))


class Prometheus:
    """The HTTP interface of a Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def over(self, expression: str, span: Span) -> list[Series]:
        """Ask for every step of a span."""
        found = self._get(
            "query_range", query=expression, start=span.start, end=span.end, step=span.step
        )
        return [_series(each["metric"], each["values"]) for each in found["result"]]

    def at(self, expression: str, time: float) -> list[Series]:
        """Ask for one moment."""
        found = self._get("query", query=expression, time=time)
        if found["resultType"] == "scalar":
            return [_series({}, [found["result"]])]
        return [_series(each["metric"], [each["value"]]) for each in found["result"]]

    def label_values(self, query: str, span: Span) -> list[str]:
        """Answer what a variable of a page asks for."""
        found = _LABEL_VALUES.fullmatch(query)
        if found is None:
            raise ValueError(f"{query}: not label_values(SELECTOR, LABEL)")
        series = self._get(
            "series", start=span.start, end=span.end, **{"match[]": found["selector"]}
        )
        return sorted({each[found["label"]] for each in series if found["label"] in each})

    def _get(self, path: str, **parameters: object) -> Any:  # the answer's form depends on the path
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=_SECONDS_OF_A_QUERY) as answer:  # noqa: S310 (http, ours)
            return json.load(answer)["data"]


def _series(labels: Mapping[str, str], values: list[list[Any]]) -> Series:
    return Series(
        labels=labels, points=tuple((float(time), float(value)) for time, value in values)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A written dashboard."""

    content: Mapping[str, Any]

    @property
    def panels(self) -> Iterator[Mapping[str, Any]]:
        """All panels and headings, in order."""
        yield from self.content["panels"]

    @property
    def variables(self) -> Iterator[Mapping[str, Any]]:
        """What can be chosen, less the data source."""
        yield from (each for each in self.content["templating"]["list"] if each["type"] == "query")

    @property
    def events(self) -> Iterator[Mapping[str, Any]]:
        """The marks over all panels."""
        yield from self.content["annotations"]["list"]

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Every expression with the words that say where it stands."""
        for panel in self.panels:
            for target in panel.get("targets", ()):
                yield (
                    f"{self.content['title']} / {panel['title']} / {target['refId']}",
                    target["expr"],
                )
        for event in self.events:
            yield f"{self.content['title']} / mark {event['name']}", event["expr"]


def read_page(path: Path) -> Page:
    """Read a dashboard's file."""
    return Page(content=json.loads(path.read_text(encoding="utf-8")))


def filled(text: str, values: Mapping[str, str]) -> str:
    """Replace variables by their values.

    Raises:
        KeyError: one has no value.
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


def chosen(
    page: Page, prometheus: Prometheus, span: Span, choices: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give every variable the value that the page opens with, or the one that is chosen.

    Raises:
        LookupError: a variable that has no "all" has no values.
    """
    values = {"datasource": "", **span.words}
    for variable in page.variables:
        name, current = variable["name"], variable.get("current", {}).get("value")
        if choices and name in choices:
            values[name] = choices[name]
        elif "allValue" in variable:
            values[name] = variable["allValue"]
        else:
            found = prometheus.label_values(filled(variable["query"]["query"], values), span)
            if variable["includeAll"]:
                values[name] = "|".join(found)
                continue
            if not found:
                raise LookupError(f"{page.content['title']}: no values of ${name}")
            values[name] = current if current in found else found[0]
    return values
