"""What the working tree holds, for the house rules that read it. Imports no room."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
STUBS = SERVICES / "stubs"

GRPC_ROOMS = ("dataset", "judge", "rollout", "scoreboard")
ROOMS = (*GRPC_ROOMS, "serving")

CODE_FOLDERS = ("services", "pipelines", "tools", "benchmarks", "tests")
_NOT_OURS = frozenset({"__pycache__", "build", "dist", "runs", "var", "node_modules"})
_HIDDEN_BUT_OURS = frozenset({".ci", ".gitattributes", ".gitignore"})


def files(*folders: str) -> Iterator[Path]:
    """Every file that belongs to the repository, or those below some of its folders, in order.

    Left out are what git ignores by name, hidden files and the generated stubs.
    """
    for start in folders or (".",):
        for folder, below, names in os.walk(ROOT / start):
            here = Path(folder)
            below[:] = sorted(name for name in below if _is_ours(here / name))
            yield from (here / name for name in sorted(names) if _is_ours(here / name))


def _is_ours(path: Path) -> bool:
    if path.name.startswith("."):
        return path.name in _HIDDEN_BUT_OURS
    return path.name not in _NOT_OURS and path.suffix != ".egg-info" and path != STUBS


def modules(*folders: str) -> Iterator[Path]:
    """Every Python file written by hand, in order; of all code or of some folders."""
    return (path for path in files(*(folders or CODE_FOLDERS)) if path.suffix == ".py")


def name_of(path: Path) -> str:
    """The path as a message shows it: from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def syntax(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


@cache
def imported_modules(path: Path) -> tuple[str, ...]:
    """Full names of everything that a module imports, wherever in it the import stands."""
    names: list[str] = []
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(names)
