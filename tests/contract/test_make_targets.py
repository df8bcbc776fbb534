"""The Makefile is the one vocabulary: complete, short, and what the documents say."""

import itertools
import re
import subprocess

import pytest

from tests.contract.tree import ROOT

MAX_LINES = 100
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, flags=re.MULTILINE))
PROMISED = {
    *("arrows", "bench", "check", "clean", "down", "format", "help", "lint", "lock", "proto"),
    *("run", "setup", "study", "test", "typecheck", "up"),
}


def _make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_help_is_what_make_prints_by_default() -> None:
    assert _make() == _make("help")


def test_help_lists_every_target() -> None:
    listed = set(re.findall(r"^  (\S+) +\S", _make("help"), flags=re.MULTILINE))

    assert listed == TARGETS
    assert listed >= PROMISED


def test_the_makefile_is_short_and_every_recipe_is_one_line() -> None:
    lines = MAKEFILE.splitlines()
    pairs = itertools.pairwise(lines)
    longer = [second for first, second in pairs if first[:1] == second[:1] == "\t"]

    assert len(lines) <= MAX_LINES
    assert longer == []


@pytest.mark.parametrize("target", ["run", "study", "up", "down", "test", "bench"])
def test_a_target_of_daily_use_runs_in_the_environment_of_the_lock(target: str) -> None:
    assert ".venv/bin/python -m" in _make("--dry-run", target)


def test_the_environment_is_made_anew_when_what_it_is_made_from_changes() -> None:
    rule = re.search(r"^\$\(READY\): (.*)$", MAKEFILE, flags=re.MULTILINE)

    assert rule is not None
    assert set(rule[1].split()) == {"requirements.lock", "pyproject.toml"}


def test_the_merge_check_runs_the_tests_as_the_readme_does() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text()
