"""Builds the container images of the project and says how large they are.

    python -m tools.build_images                        all, from the base and index of the defaults
    python -m tools.build_images --room judge --room rollout
    python -m tools.build_images --wheels               get the wheels here first, with this pip:
                                                        builds then ask no index
    python -m tools.build_images --base registry.example/python:3.11-slim

Needs a `docker`, or another command that takes the same arguments: DOCKER=podman.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.image_parts import IMAGES, build_requirements, requirements

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "deploy" / "images" / "Dockerfile"
LOCK = ROOT / "requirements.lock"
WHEELS = ROOT / "build" / "wheels"
BASE = "python:3.11-slim"
_STAMP = ".complete"


class BuildFailed(Exception):
    """A build, or what comes before it, ended badly. The message ends with its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that was built."""

    room: str
    name: str
    base_bytes: int
    """What the base image holds."""
    layers: tuple[int, ...]
    """Bytes of our own layers: packages, then code."""

    @property
    def own_bytes(self) -> int:
        """What we add to the base image."""
        return sum(self.layers)


def version() -> str:
    """The project's version, which images are tagged with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def get_wheels(rooms: Sequence[str], folder: Path = WHEELS) -> Path:
    """Fill ``folder`` with the wheels of these images, unless they are there already.

    They fit the Python and machine that this runs on, so the base image has to be of that Python.

    Raises:
        BuildFailed: pip did not find one.
    """
    needed = (line for room in rooms for line in requirements(room))
    lines = sorted({*build_requirements(), *needed})
    stamp = hashlib.sha256("\n".join([*lines, LOCK.read_text(encoding="utf-8")]).encode())
    content = f"{stamp.hexdigest()} python {sys.version_info.major}.{sys.version_info.minor}\n"
    written = folder / _STAMP
    if written.exists() and written.read_text(encoding="utf-8") == content:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    options = ["--only-binary", ":all:", "--constraint", str(LOCK), "--dest", str(folder)]
    _run([*pip, *options, *lines], what="getting the wheels")
    written.write_text(content, encoding="utf-8")
    return folder


def build(
    room: str,
    *,
    base: str = BASE,
    repository: str = "teachwhy",
    tag: str = "",
    docker: Sequence[str] = ("docker",),
    options: Sequence[str] = (),
) -> Image:
    """Build one image.

    Args:
        room: which.
        base: image with a Python 3.11 or newer, its venv module included.
        repository: first part of the image's name.
        tag: the project's version where it is empty.
        docker: command of the builder.
        options: further options of its build.

    Raises:
        BuildFailed: the build ended badly.
    """
    name = f"{repository}/{room}:{tag or version()}"
    arguments = {"ROOM": room, "BASE": base, "VERSION": version(), "REVISION": _revision()}
    pairs = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    command = [*docker, "build", "--file", str(DOCKERFILE), "--tag", name, *pairs, *options]
    _run([*command, str(ROOT)], what=f"building {name}")
    return _measured(room, name, base, docker)


def _measured(room: str, name: str, base: str, docker: Sequence[str]) -> Image:
    history = [*docker, "history", "--no-trunc", "--human=false", "--format", "{{json .}}"]
    own = _layers([*history, name])
    of_base = _layers([*history, base])
    return Image(
        room=room,
        name=name,
        base_bytes=sum(of_base),
        layers=tuple(size for size in own[: len(own) - len(of_base)][::-1] if size),
    )


def _layers(command: Sequence[str]) -> list[int]:
    lines = _run(command, what="asking for sizes").splitlines()
    return [int(json.loads(line)["Size"]) for line in lines]


def _revision() -> str:
    command = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _run(command: Sequence[str], *, what: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildFailed(f"{what}: there is no command {command[0]!r}") from error
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise BuildFailed(f"{what} ended with {done.returncode}:\n{words}")
    return done.stdout


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.build_images", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--room", action="append", choices=sorted(IMAGES), help="all where left out"
    )
    parser.add_argument("--base", default=BASE, help=f"base image, else {BASE}")
    parser.add_argument("--repository", default="teachwhy", help="first part of the names")
    parser.add_argument("--tag", default="", help="else the project's version")
    parser.add_argument("--wheels", action="store_true", help="get the wheels with this pip first")
    return parser.parse_args()


def main() -> int:
    """Build what the command line asks for."""
    asked = _arguments()
    rooms: list[str] = asked.room or list(IMAGES)
    docker = os.environ.get("DOCKER", "docker").split()
    try:
        if asked.wheels:
            get_wheels(rooms)
        for room in rooms:
            image = build(
                room, base=asked.base, repository=asked.repository, tag=asked.tag, docker=docker
            )
            print(size_row(image), flush=True)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def size_row(image: Image) -> str:
    """One line for an image: its name, what its layers add to the base, and the base."""
    layers = " + ".join(f"{size / 1e6:.1f}" for size in image.layers)
    own, base = image.own_bytes / 1e6, image.base_bytes / 1e6
    return f"{image.name}: {own:.0f} MB ({layers}) over {base:.0f} MB"


if __name__ == "__main__":
    raise SystemExit(main())
