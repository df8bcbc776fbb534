"""Writes and checks requirements.lock: one environment for all extras, as plain pins.

The lock names no index and no local build, so that the same file serves a CPU laptop, a GPU node
and a mirror. It is installed with dependencies on: what torch adds by platform (its CUDA parts)
is pinned by torch itself and stays out of the file.

    python -m tools.lock            resolve anew in a fresh environment and write the lock
    python -m tools.lock --check    is every requirement of pyproject.toml met by the lock?
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
PYPROJECT = ROOT / "pyproject.toml"

_HEADER = "# Written by `make lock` from pyproject.toml (all extras). Do not edit.\n"
_INSTALLERS = frozenset({"pip", "setuptools", "wheel"})
_PLATFORM_PREFIXES = ("nvidia-", "cuda-", "triton")


def declared_requirements(pyproject: Path = PYPROJECT) -> list[Requirement]:
    """Every requirement of the base and of all extras, without the project's own extras."""
    project = tomllib.loads(pyproject.read_text())["project"]
    groups: list[list[str]] = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
    ]
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
            msg = f"requirements.lock: {line.strip()!r} is no `name==version` pin"
            raise ValueError(msg)
        canonical = canonicalize_name(name)
        if canonical not in _INSTALLERS and not canonical.startswith(_PLATFORM_PREFIXES):
            pins[canonical] = Version(Version(version).public)
    return pins


def read_lock(lock: Path = LOCK) -> dict[str, Version]:
    """The pins of the lock file, by canonical name."""
    lines = (line for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    return pins_from_freeze(lines)


def unmet(requirements: Iterable[Requirement], pins: Mapping[str, Version]) -> Iterator[str]:
    """One sentence for each requirement that the pins do not satisfy."""
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None:
            yield f"{requirement} is not in requirements.lock"
        elif not requirement.specifier.contains(pinned, prereleases=True):
            yield f"{requirement} does not allow the locked {requirement.name}=={pinned}"


def resolve(requirements: Iterable[Requirement]) -> dict[str, Version]:
    """Install the requirements into a new environment and return what came with them."""
    with tempfile.TemporaryDirectory(prefix="teachwhy-lock-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]
        lines = [str(requirement) for requirement in requirements]
        subprocess.run([*pip, "install", "--no-compile", *lines], check=True)
        subprocess.run([*pip, "check"], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    return pins_from_freeze(frozen.stdout.splitlines())


def main() -> int:
    """Write the lock, or with --check compare it with pyproject.toml."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    requirements = declared_requirements()
    if parser.parse_args().check:
        problems = list(unmet(requirements, read_lock()))
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0
    pins = resolve(requirements)
    LOCK.write_text(_HEADER + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
    print(f"wrote {len(pins)} pins to {LOCK.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
