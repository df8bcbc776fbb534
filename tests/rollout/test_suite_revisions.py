"""The revision of a suite covers all code of the room that decides its episodes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.rollout import microworld_suites
from services.rollout.packs import splitting
from services.rollout.prompt_folders import suite
from services.servicekit.digest import code_digest
from tests.contract.tree import ROOT, imported_modules

# What reads files into scenarios, plays them, reads calls and answers them.
ROOTS = {
    "packs": (
        splitting.CODE,
        ("services.rollout.agent", "services.rollout.packs", "services.rollout.protocols"),
    ),
    "prompt folders": (
        suite.CODE,
        ("services.rollout.agent", "services.rollout.packs", "services.rollout.prompt_folders"),
    ),
    "microworld": (
        microworld_suites.CODE,
        ("services.rollout.agent", "services.rollout.microworld_suites"),
    ),
}
# They name code, and are none of it themselves.
_LISTS = {"services.rollout", "services.rollout.deciding_code"}


def _files_of(module: str) -> list[Path]:
    """The file of a module, or all files of a package; none where it is a name within a module."""
    path = ROOT / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [*path.parent.glob(f"{path.name}.py")]


def _imported(module: str) -> Iterator[str]:
    for path in _files_of(module):
        for name in imported_modules(path):
            if name.startswith(("services.rollout.", "services.microworld.")):
                yield name if _files_of(name) else name.rpartition(".")[0]


def _reached(roots: Sequence[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += _imported(module)
    return reached


@pytest.mark.parametrize("suites", ROOTS)
def test_a_revision_covers_every_module_that_decides_an_episode(suites: str) -> None:
    code, roots = ROOTS[suites]

    forgotten = {
        module
        for module in _reached(roots) - _LISTS
        if not any(module == each or module.startswith(f"{each}.") for each in code)
    }

    assert forgotten == set()


@pytest.mark.parametrize("suites", ROOTS)
def test_every_name_in_a_list_is_of_code_that_is_there(suites: str) -> None:
    code, _ = ROOTS[suites]

    assert len(set(code)) == len(code)
    assert [name for name in code if not _files_of(name)] == []
    assert code_digest(*code)
