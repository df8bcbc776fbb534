"""The metrics that the code exports, as Prometheus names them, and what an expression asks for."""

import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import promql_parser
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from services.scoreboard.catalog import Catalog, Contents
from services.scoreboard.metrics import ScoreboardCollector
from tests.contract.tree import modules, name_of

TARGET_LABELS = frozenset({"namespace", "pod", "job", "instance"})
"""Those that a scrape gives to every series."""

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A metric of the code."""

    family: str
    """Its name less what Prometheus adds for counters and histograms."""
    kind: str
    labels: frozenset[str]

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """Labels by name of series."""
        return {
            self.family + suffix: self.labels | ({"le"} if suffix == "_bucket" else set())
            for suffix in _SUFFIXES[self.kind]
        }


@functools.cache
def exported() -> tuple[Exported, ...]:
    """Every metric that a metrics module defines, once."""
    found = {each.family: each for each in (*_defined(), *_collected())}
    return tuple(found[family] for family in sorted(found))


def _defined() -> Iterator[Exported]:
    for path in modules("services", "pipelines"):
        if path.name == "metrics.py":
            module = importlib.import_module(name_of(path).removesuffix(".py").replace("/", "."))
            for value in vars(module).values():
                if isinstance(value, MetricWrapperBase):
                    # Labels of a metric are public nowhere in prometheus_client.
                    labels = frozenset(value._labelnames)
                    yield Exported(family=value._name, kind=str(value._type), labels=labels)


def _collected() -> Iterator[Exported]:
    """Those of the scoreboard, which has families even where its store is empty."""
    empty = cast(Catalog, SimpleNamespace(contents=Contents()))
    for family in ScoreboardCollector(empty, max_experiments=1).collect():
        yield _of_family(family)


def _of_family(family: Metric) -> Exported:
    labels: Any = family
    return Exported(family=family.name, kind=family.type, labels=frozenset(labels._labelnames))


def labels_by_series() -> Mapping[str, frozenset[str]]:
    """Labels, those of targets left out, of every series of the code."""
    return {name: labels for each in exported() for name, labels in each.series.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One selector of an expression."""

    series: str
    labels: frozenset[str]
    """Those that it matches by."""


def asked_for(expression: str) -> list[Asked]:
    """Every selector of an expression, which may name Grafana's variables.

    Raises:
        ValueError: it is no PromQL.
    """
    plain = expression
    for variable in ("$__rate_interval", "$__range", "$__interval"):
        plain = plain.replace(variable, "5m")
    found = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            matchers = node.matchers.matchers
            assert node.name, f"a selector without a name: {expression}"
            found.append(Asked(series=node.name, labels=frozenset(each.name for each in matchers)))

    promql_parser.walk(promql_parser.parse(plain), visit)
    return found
