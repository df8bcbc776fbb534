"""One engine, all images and one bucket's server for all tests of the stage."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.containers.engine import Container, Engine, started_engine, until
from tests.servicekit.s3_server import PROGRAM, VARIABLES, S3Server, with_user
from tools.build_images import Image, build, size_row
from tools.image_parts import IMAGES

BASE_IMAGE = "base:test"
STORE = "store"
STORE_PORT = 9000


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    folder = os.environ.get("TEACHWHY_CONTAINER_FOLDER")
    assert folder, "these tests need the engine that `make test-containers` gives them"
    with started_engine(Path(folder)) as running:
        running.docker("import", os.environ["TEACHWHY_CONTAINER_BASE"], BASE_IMAGE)
        yield running


@pytest.fixture(scope="session")
def images(engine: Engine) -> Mapping[str, Image]:
    """Every image of the project, built here."""
    make = partial(
        build, base=BASE_IMAGE, tag="test", docker=engine.command, options=("--network=none",)
    )
    # Two at once: one unpacks while the other compiles.
    with ThreadPoolExecutor(2) as pool:
        built = dict(zip(IMAGES, pool.map(make, IMAGES), strict=True))
    sys.stderr.write("\n".join(["", *map(size_row, built.values()), ""]))
    return built


@pytest.fixture(scope="session")
def store_container(engine: Engine) -> Iterator[Container]:
    """A server that speaks S3 and checks signatures, with the packages of this environment."""
    container = engine.start(
        STORE,
        BASE_IMAGE,
        *("python3", "-c", PROGRAM, "0.0.0.0", str(STORE_PORT)),
        environment={**VARIABLES, "PYTHONPATH": "/packages", "HOME": "/tmp"},
        mounts={"/packages": Path(sysconfig.get_path("purelib"))},
    )
    until(lambda: bool(container.said()) or not container.is_running)
    assert container.is_running, container.said()
    yield container
    engine.remove(container)


@pytest.fixture(scope="session")
def s3(store_container: Container) -> S3Server:
    """The same, as it is reached from here."""
    return with_user(f"{store_container.address}:{STORE_PORT}")
