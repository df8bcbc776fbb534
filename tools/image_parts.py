"""What of the project the image of a room holds: packages and code. Runs inside image builds.

    python3 tools/image_parts.py requirements judge   prints what pip installs beside our code
    python3 tools/image_parts.py build-requirements   prints what makes a wheel of our code
    python3 tools/image_parts.py prune judge          removes the code of all others from here

It needs the standard library only, and knows no builder.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SHARED = frozenset({"servicekit", "stubs"})
"""Folders of services/ that every image holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one image holds beside what all hold."""

    extras: tuple[str, ...]
    """Extras of pyproject.toml whose packages are installed."""
    services: frozenset[str]
    """Folders of services/."""
    has_pipelines: bool = False


def _room(name: str, *more: str) -> Parts:
    return Parts(extras=(name,), services=frozenset({name, *more}))


IMAGES: Mapping[str, Parts] = {
    "dataset": _room("dataset", "microworld"),
    "rollout": _room("rollout", "microworld"),
    "judge": _room("judge"),
    "scoreboard": _room("scoreboard"),
    "serving": _room("serving"),
    "training": Parts(extras=("training",), services=frozenset(), has_pipelines=True),
    # The command line may start the rooms beside itself, where a cluster has none installed. Of the
    # model server it needs the source alone, whose digest is part of what replies depend on.
    "runner": Parts(
        extras=("cluster", "pipelines", "dataset", "judge", "rollout", "scoreboard"),
        services=frozenset({"dataset", "judge", "microworld", "rollout", "scoreboard", "serving"}),
        has_pipelines=True,
    ),
}
"""Every image by its name, which is the build argument ROOM."""


def requirements(room: str) -> list[str]:
    """What pip installs for a room beside our own code, as lines of a requirements file."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    found = {*project["dependencies"]}
    for extra in IMAGES[room].extras:
        found.update(_unfolded(extra, extras))
    return sorted(found)


def build_requirements() -> list[str]:
    """What pip needs to make a wheel of our own code."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found: list[str] = tomllib.loads(text)["build-system"]["requires"]
    return found


def prune(room: str) -> None:
    """Remove from this copy of the source what the image of a room does not hold."""
    parts = IMAGES[room]
    for folder in sorted((ROOT / "services").iterdir()):
        if folder.is_dir() and folder.name not in SHARED | parts.services:
            shutil.rmtree(folder)
    if not parts.has_pipelines:
        shutil.rmtree(ROOT / "pipelines")


def _unfolded(extra: str, extras: Mapping[str, list[str]]) -> Iterator[str]:
    for line in extras[extra]:
        if own := re.fullmatch(r"teachwhy\[(.+)\]", line):
            for each in own[1].split(","):
                yield from _unfolded(each, extras)
        else:
            yield line


def main(arguments: list[str]) -> int:
    """Do what the command line says; 2 for one that makes no sense."""
    match arguments:
        case ["requirements", room] if room in IMAGES:
            print("\n".join(requirements(room)))
        case ["prune", room] if room in IMAGES:
            prune(room)
        case ["build-requirements"]:
            print("\n".join(build_requirements()))
        case ["requirements" | "prune", room]:
            print(f"ROOM is {room!r}; there are: {', '.join(IMAGES)}", file=sys.stderr)
            return 2
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
