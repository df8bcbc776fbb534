"""What a part of the product imports, its part of pyproject.toml declares."""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contract.tree import ROOT, imported_modules, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS_BY_FOLDER = {
    "services/servicekit": [],
    "services/microworld": [],
    "services/dataset": ["dataset"],
    "services/judge": ["judge"],
    "services/rollout": ["rollout"],
    "services/scoreboard": ["scoreboard"],
    "services/serving": ["serving"],
    "pipelines/training": ["training"],
    "pipelines": ["pipelines", "training", "cluster", "pipeline"],
    "tools": list(PROJECT["optional-dependencies"]),
    "benchmarks": list(PROJECT["optional-dependencies"]),
    "tests": list(PROJECT["optional-dependencies"]),
}
OWN = {"benchmarks", "pipelines", "services", "teachwhy", "tests", "tools"}
# What is in an environment of its own, and not in the one of the tests.
ELSEWHERE = {"kfp": ["kfp"]}
# Packages that share the import name "google".
GOOGLE = {"google.protobuf": "protobuf", "google.rpc": "googleapis-common-protos"}


def _declared(extras: list[str]) -> Iterator[str]:
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            yield from _declared(sorted(requirement.extras))
        else:
            yield canonicalize_name(requirement.name)


@cache
def _providers() -> Mapping[str, list[str]]:
    """Installed packages by the name that is imported."""
    return {**ELSEWHERE, **packages_distributions()}


def _imported(folder: str) -> Iterator[tuple[str, set[str]]]:
    for path in modules(folder):
        if path.parent.name == "peers" and path.stem not in {"__init__", "environments"}:
            continue  # runs in the environment of the peer it measures
        for name in imported_modules(path):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in OWN:
                continue
            shared = ".".join(name.split(".")[:2])
            names = [GOOGLE[shared]] if shared in GOOGLE else _providers().get(top, [])
            yield name, {canonicalize_name(provider) for provider in names}


@pytest.mark.parametrize("folder", EXTRAS_BY_FOLDER)
def test_every_import_is_of_a_declared_package(folder: str) -> None:
    declared = set(_declared(EXTRAS_BY_FOLDER[folder]))

    assert {name for name, providers in _imported(folder) if not providers & declared} == set()
