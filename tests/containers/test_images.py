"""The images are built for real: small, without rights, and with the repository's own code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from services.servicekit.digest import code_digest
from tests.containers.engine import USER, Engine
from tests.contract.tree import GRPC_ROOMS, ROOMS, ROOT
from tools.build_images import Image, version
from tools.image_parts import IMAGES

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

MAX_BYTES = {"judge": 100e6, "rollout": 100e6, "scoreboard": 245e6, "dataset": 400e6}
"""What a room may add to its base: bare ones below 150 MB; the README says why two are larger."""
MAX_CODE_BYTES = 12e6
WITHOUT_TORCH = sorted(set(IMAGES) - {"serving", "training"})
CODE = {
    **{room: (f"services.{room}", "services.servicekit") for room in ROOMS},
    "training": ("pipelines.jobs", "pipelines.training", "services.servicekit"),
    "runner": ("pipelines.experiment", "pipelines.training", "services.serving"),
}
"""Packages of ours in each image whose digests must be the repository's: keys are made of them,
and a pod refuses an order of another program."""
DIGESTS = """
import sys
from services.servicekit.digest import code_digest
print(*(code_digest(name) for name in sys.argv[1:]))
"""
LOOK = """
import importlib.util, json, os, pathlib
def writes(folder):
    try:
        (pathlib.Path(folder) / "probe").write_text("")
    except OSError:
        return False
    return True
rooms = ("dataset", "judge", "rollout", "scoreboard", "serving")
print(json.dumps({
    "user": os.getuid(),
    "group": os.getgid(),
    "pip": importlib.util.find_spec("pip") is not None,
    "rooms": [room for room in rooms if importlib.util.find_spec("services." + room)],
    "writes": [folder for folder in ("/", "/opt", "/opt/code", "/opt/teachwhy") if writes(folder)],
}))
"""


def _python(engine: Engine, image: Image, program: str, *arguments: str) -> str:
    """Run a program with the image's interpreter, the root writable and with all capabilities."""
    alone = ("--rm", "--network=none", "--entrypoint=python")
    return engine.docker("run", *alone, image.name, "-c", program, *arguments)


@pytest.mark.parametrize("room", GRPC_ROOMS)
def test_a_room_adds_no_more_to_its_base_than_it_may(
    images: Mapping[str, Image], room: str
) -> None:
    assert images[room].own_bytes <= MAX_BYTES[room]


@pytest.mark.parametrize("room", sorted(IMAGES))
def test_packages_and_our_code_are_a_layer_each(images: Mapping[str, Image], room: str) -> None:
    packages, code = images[room].layers

    assert packages > code
    assert code <= MAX_CODE_BYTES


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_the_sizes_of_the_readme_are_the_measured_ones(
    images: Mapping[str, Image], room: str
) -> None:
    readme = (ROOT / "deploy" / "images" / "README.md").read_text()
    found = re.search(rf"^\| `{room}` \|.*\| (\d+) MB \|$", readme, re.MULTILINE)

    assert found, f"deploy/images/README.md has no row for {room}"
    assert images[room].own_bytes / 1e6 == pytest.approx(int(found[1]), rel=0.1)


@pytest.mark.parametrize("room", sorted(IMAGES))
def test_an_image_holds_the_code_of_the_repository(
    engine: Engine, images: Mapping[str, Image], room: str
) -> None:
    names = CODE[room]

    found = _python(engine, images[room], DIGESTS, *names).split()

    assert dict(zip(names, found, strict=True)) == {name: code_digest(name) for name in names}


@pytest.mark.parametrize("room", sorted(IMAGES))
def test_an_image_has_no_rights_no_pip_and_no_other_room(
    engine: Engine, images: Mapping[str, Image], room: str
) -> None:
    seen = json.loads(_python(engine, images[room], LOOK))

    assert (seen["user"], seen["group"]) == (USER, USER)
    assert not seen["pip"]
    assert seen["writes"] == []
    assert set(seen["rooms"]) == set(ROOMS) & IMAGES[room].services


@pytest.mark.parametrize("room", sorted(IMAGES))
def test_an_image_says_what_it_is(engine: Engine, images: Mapping[str, Image], room: str) -> None:
    config = json.loads(engine.docker("image", "inspect", images[room].name))[0]["Config"]

    assert config["Labels"]["org.opencontainers.image.title"] == f"teachwhy-{room}"
    assert config["Labels"]["org.opencontainers.image.version"] == version()
    assert config["User"] == f"{USER}:{USER}"


def test_an_image_that_is_not_there_is_named(engine: Engine) -> None:
    done = engine.run(
        *("build", "--network=none", "--build-arg=BASE=base:test", "--build-arg=ROOM=judgee"),
        *("--file", str(ROOT / "deploy" / "images" / "Dockerfile"), str(ROOT)),
    )

    assert done.returncode
    assert "judgee" in done.stdout + done.stderr
