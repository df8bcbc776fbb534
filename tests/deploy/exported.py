"""What our processes export, as Prometheus names it, read off the metrics modules."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from services.scoreboard.archive import Archive
from services.scoreboard.catalog import Catalog
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.metrics import ScoreboardCollector
from services.servicekit.storage.directory import DirectoryStore
from tests.contract.tree import ROOT, modules


@functools.cache
def exported() -> Mapping[str, frozenset[str]]:
    """Labels of every series that we export, by the name of the series."""
    found = dict(_of_scoreboard())
    for path in modules("services", "pipelines"):
        if path.name == "metrics.py":
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for each in vars(importlib.import_module(name)).values():
                if isinstance(each, MetricWrapperBase):
                    found |= dict(_series(each))
    return found


def _series(metric: MetricWrapperBase) -> Iterator[tuple[str, frozenset[str]]]:
    labels = frozenset(metric._labelnames)
    name = next(iter(metric.describe())).name
    if isinstance(metric, Counter):
        yield f"{name}_total", labels
    elif isinstance(metric, Histogram):
        yield f"{name}_bucket", labels | {"le"}
        yield f"{name}_sum", labels
        yield f"{name}_count", labels
    else:
        yield name, labels


def _of_scoreboard() -> Iterator[tuple[str, frozenset[str]]]:
    """Families that the collector makes even of nothing."""
    with TemporaryDirectory() as folder:
        store = DirectoryStore(Path(folder))
        catalog = Catalog(Archive(store), DecisionArchive(store))
        for family in ScoreboardCollector(catalog, max_experiments=1).collect():
            yield family.name, frozenset(family._labelnames)  # type: ignore[attr-defined]
