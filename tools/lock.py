"""Writes and checks the locks: for each environment the plain pins of what it holds.

A lock names no index and no local build, so that the same file serves a CPU laptop, a GPU node
and a mirror. It is installed with dependencies on: what torch adds by platform (its CUDA parts)
is pinned by torch itself and stays out of the file.

    python -m tools.lock            resolve anew in fresh environments and write all locks
    python -m tools.lock NAME       only this one, for example requirements-pipeline.lock
    python -m tools.lock --check    are all requirements of pyproject.toml met by the locks?
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PYPROJECT = ROOT / "pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One environment."""

    path: Path
    without: frozenset[str]
    """Extras of pyproject.toml that it leaves out."""
    what: str
    """What it holds, for the head of the file."""


LOCK = Lock(
    path=ROOT / "requirements.lock",
    without=frozenset({"pipeline"}),
    what="all extras, less pipeline",
)
PIPELINE_LOCK = Lock(
    path=ROOT / "requirements-pipeline.lock",
    without=frozenset({"dev", "serving", "training"}),
    what="all extras, less dev, serving and training",
)
LOCKS = (LOCK, PIPELINE_LOCK)

DIFFERENT = frozenset({"kubernetes", "requests", "urllib3"})
"""What kfp wants in other versions; anything else is the same in both locks."""

_INSTALLERS = frozenset({"pip", "setuptools", "wheel"})
_PLATFORM_PREFIXES = ("nvidia-", "cuda-", "triton")


def declared_requirements(lock: Lock = LOCK, pyproject: Path = PYPROJECT) -> list[Requirement]:
    """Every requirement of the base and of the lock's extras, without the project's own extras."""
    project = tomllib.loads(pyproject.read_text())["project"]
    extras: Mapping[str, list[str]] = project["optional-dependencies"]
    if missing := lock.without - extras.keys():
        raise ValueError(f"{pyproject.name}: there is no extra called {', '.join(sorted(missing))}")
    chosen = (lines for extra, lines in extras.items() if extra not in lock.without)
    groups: list[list[str]] = [project["dependencies"], *chosen]
    requirements = [Requirement(line) for group in groups for line in group]
    return [one for one in requirements if one.name != project["name"]]


def pins_from_freeze(lines: Iterable[str]) -> dict[str, Version]:
    """The pins in the output of `pip freeze`, without what differs by platform.

    Raises:
        ValueError: if a line is no `name==version`, for example a package installed from a path.
    """
    pins: dict[str, Version] = {}
    for line in lines:
        name, separator, version = line.strip().partition("==")
        if not separator:
            raise ValueError(f"{line.strip()!r} is no `name==version` pin")
        canonical = canonicalize_name(name)
        if canonical not in _INSTALLERS and not canonical.startswith(_PLATFORM_PREFIXES):
            pins[canonical] = Version(Version(version).public)
    return pins


def read_lock(lock: Lock = LOCK) -> dict[str, Version]:
    """The pins of the lock file, by canonical name."""
    text = lock.path.read_text().splitlines()
    lines = (line for line in text if line and not line.startswith("#"))
    return pins_from_freeze(lines)


def unmet(
    requirements: Iterable[Requirement], pins: Mapping[str, Version], lock: Lock = LOCK
) -> Iterator[str]:
    """One sentence for each requirement that the pins do not satisfy."""
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None:
            yield f"{requirement} is not in {lock.path.name}"
        elif not requirement.specifier.contains(pinned, prereleases=True):
            yield f"{requirement} does not allow the locked {requirement.name}=={pinned}"


def differing(pins: Mapping[str, Version], others: Mapping[str, Version]) -> Iterator[str]:
    """One sentence for each package that two locks hold in versions that should be the same."""
    for name in sorted((pins.keys() & others.keys()) - DIFFERENT):
        if pins[name] != others[name]:
            yield f"{name} is {pins[name]} in one lock and {others[name]} in the other"


def resolve(
    requirements: Iterable[Requirement], constraints: Mapping[str, Version]
) -> dict[str, Version]:
    """Install the requirements into a new environment and return what came with them."""
    with tempfile.TemporaryDirectory(prefix="teachwhy-lock-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]
        fixed = Path(folder) / "constraints.txt"
        fixed.write_text("".join(f"{name}=={pin}\n" for name, pin in constraints.items()))
        lines = [str(requirement) for requirement in requirements]
        command = [*pip, "install", "--no-compile", "--constraint", str(fixed), *lines]
        subprocess.run(command, check=True)
        subprocess.run([*pip, "check"], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    return pins_from_freeze(frozen.stdout.splitlines())


def write(lock: Lock) -> int:
    """Resolve a lock anew and write it; all but the first keep the versions of the first.

    Returns:
        How many pins there are.
    """
    known = {} if lock is LOCK else read_lock(LOCK)
    kept = {name: pin for name, pin in known.items() if name not in DIFFERENT}
    pins = resolve(declared_requirements(lock), kept)
    head = f"# Written by `make lock` from pyproject.toml ({lock.what}). Do not edit.\n"
    lock.path.write_text(head + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
    return len(pins)


def problems() -> list[str]:
    """Say what is wrong with the locks, a sentence each."""
    found = [
        problem
        for lock in LOCKS
        for problem in unmet(declared_requirements(lock), read_lock(lock), lock)
    ]
    return [*found, *differing(read_lock(LOCK), read_lock(PIPELINE_LOCK))]


def main() -> int:
    """Write the locks, or with --check compare them with pyproject.toml."""
    by_name = {lock.path.name: lock for lock in LOCKS}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*by_name, []], help="locks to write, else all")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    options = parser.parse_args()
    if options.check:
        for problem in (found := problems()):
            print(problem, file=sys.stderr)
        return 1 if found else 0
    for name in options.names or by_name:
        print(f"wrote {write(by_name[name])} pins to {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
