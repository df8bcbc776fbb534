"""A run that is killed and started again ends with the same bytes as one that never was."""

import shutil
from pathlib import Path

import pytest

from tests.experiment.tiny_run import (
    PROMOTION,
    assert_gone,
    contents,
    manifest_digests,
    promotion,
    results,
    running,
    stamps,
    write_experiment,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_run_that_was_killed_again_and_again_ends_with_the_same_bytes(
    whole_run: Path, tmp_path: Path
) -> None:
    experiment = write_experiment(tmp_path, promotion=PROMOTION)
    whole, broken = shutil.copytree(whole_run, tmp_path / "whole"), tmp_path / "broken"

    for folder in ("datasets", "checkpoints", "episodes"):
        with running(experiment, broken) as run:
            run.wait_for_another_file_in(folder)
            assert_gone(run.kill())
    with running(experiment, broken) as run:
        run.kill_service("serving")
        run.wait_for_another_file_in("episodes")
        for service in ("rollout", "judge", "scoreboard", "dataset"):
            run.kill_service(service)
        run.finish()

    assert manifest_digests(broken) == manifest_digests(whole)
    assert contents(broken) == contents(whole)
    assert results(broken) == results(whole)
    assert promotion(broken) == promotion(whole)
    assert promotion(whole)["action"] == "held"
    assert "this site serves no traffic" in str(promotion(whole)["reason"])

    before = stamps(whole)
    with running(experiment, whole) as run:
        run.finish()
    assert stamps(whole) == before, "a second run answers from the store"
    assert results(whole) == results(broken)
