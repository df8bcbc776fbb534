"""Every metric has a prefix, one home, a name that can be searched for, and a line in a README."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.contract.tree import modules, name_of, syntax

CONSTRUCTORS = {
    *("Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"),
    *("CounterMetricFamily", "GaugeMetricFamily", "HistogramMetricFamily", "InfoMetricFamily"),
}
NAME = re.compile(r"teachwhy(_[a-z0-9]+){2,}")


@cache
def _definitions() -> list[tuple[Path, ast.Call]]:
    """Every call that makes a metric, and the module it stands in."""
    found: list[tuple[Path, ast.Call]] = []
    for path in modules("services", "pipelines"):
        tree = syntax(path)
        imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
        imported = {
            alias.asname or alias.name
            for node in imports
            if (node.module or "").startswith("prometheus_client")
            for alias in node.names
        }
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        found += [(path, call) for call in calls if _called(call) in imported & CONSTRUCTORS]
    return found


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _names() -> Iterator[tuple[Path, str]]:
    """Every metric name that a metrics module spells, in a definition or in a table of names."""
    for path in modules("services", "pipelines"):
        if path.name == "metrics.py":
            constants = (node for node in ast.walk(syntax(path)) if isinstance(node, ast.Constant))
            for value in (constant.value for constant in constants):
                if isinstance(value, str) and value.startswith("teachwhy"):
                    yield path, value


def test_metrics_are_defined_in_metrics_modules_only() -> None:
    elsewhere = {name_of(path) for path, _ in _definitions() if path.name != "metrics.py"}

    assert elsewhere == set()


def test_every_metric_has_the_prefix_of_the_product() -> None:
    strangers = [
        f"{name_of(path)}:{call.lineno}: {call.args[0].value!r}"
        for path, call in _definitions()
        if isinstance(call.args[0], ast.Constant) and not NAME.fullmatch(str(call.args[0].value))
    ]

    assert strangers == []


def test_metric_names_are_spelled_in_full_so_that_a_search_finds_them() -> None:
    parts = [f"{name_of(path)}: {name}" for path, name in _names() if not NAME.fullmatch(name)]

    assert parts == []


def test_every_metric_stands_in_the_readme_beside_it() -> None:
    silent = [
        f"{name} is not in {name_of(readme)}"
        for readme, name in ((path.parent / "README.md", name) for path, name in _names())
        if not readme.exists() or name not in readme.read_text()
    ]

    assert silent == []


def test_no_two_metrics_share_a_name() -> None:
    names = [name for _, name in _names()]

    assert sorted(names) == sorted(set(names))
