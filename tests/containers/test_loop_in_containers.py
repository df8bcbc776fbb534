"""The whole loop across containers, with S3 between them and crashes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.containers.container_site import EXPERIMENT, ContainerSite, container_site
from tests.containers.engine import Container, Engine, until
from tests.experiment.tiny_run import results, running, write_experiment
from tests.servicekit.s3_server import S3Server
from tools.build_images import Image

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

SECONDS = 400.0


@pytest.fixture
def site(
    engine: Engine, images: Mapping[str, Image], s3: S3Server, tmp_path: Path
) -> Iterator[ContainerSite]:
    folder = tmp_path / "experiment"
    folder.mkdir()
    write_experiment(folder)
    with container_site(engine, images, s3, folder) as ready:
        yield ready


def test_the_loop_across_containers_finds_what_one_machine_finds_though_rooms_crash(
    site: ContainerSite, tmp_path: Path
) -> None:
    arguments = ("run", f"{EXPERIMENT}/tiny.yaml", "--on", "cluster")
    with site.runner(*arguments) as runner:
        _crash(site, "dataset", runner, when="datasets/")
        _crash(site, "rollout", runner, when="episodes/")
        assert runner.wait(seconds=SECONDS) == 0, runner.said()
        crashed = {name: room.restarts for name, room in site.rooms.items()}
    assert crashed == {"dataset": 1, "rollout": 1, "judge": 0, "scoreboard": 0}
    assert {image.rpartition("/")[2] for image in site.pods.ran.values()} == {
        "serving:test",
        "training:test",
    }

    with running(tmp_path / "experiment" / "tiny.yaml", tmp_path / "here") as local:
        local.finish()
    assert results(site.runs) == results(tmp_path / "here")


def _crash(site: ContainerSite, room: str, runner: Container, *, when: str) -> None:
    """Crash a room as soon as the run keeps something of it."""
    until(
        lambda: any(site.store.keys(when)) or not runner.is_running,
        seconds=SECONDS,
    )
    assert runner.is_running, runner.said()
    site.rooms[room].crash()
