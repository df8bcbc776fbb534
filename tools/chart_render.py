"""The chart as Helm renders it, for the golden files and the tests. Knows no cluster."""

import difflib
import re
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "helm" / "teachwhy"
RELEASE = "teachwhy"
NAMESPACE = "lab"

_RANDOM = re.compile(
    r"^( *(?:access_key|secret_key|AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY): )[A-Za-z0-9+/=]+$",
    flags=re.MULTILINE,
)
_GROUPS = re.compile(
    r"(?<=kind: PrometheusRule\n)"
    r"(metadata:\n  name: \S+?-(\w+)\n.*?\nspec:\n  groups:\n)(.*?)(?=^---$|\Z)",
    flags=re.MULTILINE | re.DOTALL,
)
_DOCUMENT = re.compile(r"^---\n", flags=re.MULTILINE)


class ChartRefused(Exception):
    """Helm does not render the chart with these values. The message is what it says."""


def ci_files() -> dict[str, Path]:
    """Values that the chart is checked with, by name."""
    suffix = "-values.yaml"
    return {path.name.removesuffix(suffix): path for path in sorted(CHART.glob(f"ci/*{suffix}"))}


def render(
    helm: Path, values: Sequence[Path] = (), flags: Sequence[str] = (), chart: Path = CHART
) -> str:
    """Return everything that would be installed.

    Raises:
        ChartRefused: the values are wrong.
    """
    files = [flag for path in values for flag in ("--values", str(path))]
    command = [str(helm), "template", RELEASE, str(chart), "--namespace", NAMESPACE, *files, *flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ChartRefused(result.stderr.strip())
    return result.stdout


def in_order(rendered: str) -> str:
    """The same objects, ordered by where they come from and not by when Helm would install them."""
    documents = [each.rstrip() + "\n" for each in _DOCUMENT.split(rendered) if each.strip()]
    return "".join(f"---\n{each}" for each in sorted(documents, key=_source))


def masked(rendered: str) -> str:
    """The text without what is drawn by lot, and without what is read in files of its own."""
    text = _RANDOM.sub(r"\1<random>", rendered)
    text = _GROUPS.sub(_shortened, text)
    for path in (*CHART.glob("dashboards/*.json"), *CHART.glob("files/*")):
        for indent in ("    ", "          "):
            content = "\n".join(indent + line for line in path.read_text("utf-8").splitlines())
            name = path.relative_to(CHART).as_posix()
            text = text.replace(content, f"{indent}<{name}>")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _shortened(found: re.Match[str]) -> str:
    """Rules as the file that they are of, and what differs from it."""
    head, name, text = found.groups()
    file = CHART / "alerts" / f"{name}.yaml"
    rendered = _rules(yaml.safe_load(text))
    lines = [f"<groups of alerts/{file.name}>"]
    for title, kept in _rules(yaml.safe_load(file.read_text("utf-8"))["groups"]).items():
        if title not in rendered:
            lines.append(f"<without {title}>")
        elif changes := [
            line
            for line in difflib.unified_diff(kept, rendered[title], n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]:
            lines += [f"<{title}>", *changes]
    return head + "".join(f"    {line}\n" for line in lines)


def _rules(groups: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Lines of each rule by its name; several of one alert differ in their summary."""
    found = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        summary = rule.get("annotations", {}).get("summary", "")
        title = rule.get("record") or f"{rule['alert']}: {summary}"
        parts = {**rule, **rule.get("annotations", {}), **rule.get("labels", {})}
        found[title] = [
            f"{key}: {wrapped}"
            for key, value in sorted(parts.items())
            if isinstance(value, str)
            for line in value.splitlines()
            for wrapped in textwrap.wrap(line, 90)
        ]
    return found


def _source(document: str) -> str:
    return document.splitlines()[0]
