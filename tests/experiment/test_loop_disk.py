"""A run whose disk fills up or whose store vanishes says so, and continues once that is mended."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiment.tiny_run import ROOT, manifest_digests, running, write_experiment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
FULL_DISK = """
set -eu
mkdir "$FOLDER/disk"
mount -t tmpfs -o size="$SIZE" none "$FOLDER/disk"
set +e
"$PYTHON" -m pipelines run "$EXPERIMENT" > "$FOLDER/first.log" 2>&1
echo $? > "$FOLDER/first.status"
set -e
mount -o remount,size=1g "$FOLDER/disk"
"$PYTHON" -m pipelines run "$EXPERIMENT" > "$FOLDER/second.log" 2>&1
cp -r "$FOLDER/disk" "$FOLDER/kept"
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Digests of all outputs of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with running(write_experiment(folder), folder / "runs") as run:
        run.finish()
        return manifest_digests(run.runs)


@pytest.fixture(scope="module")
def _own_mounts() -> None:
    """Ask whether this machine lets us mount in a namespace of our own."""
    asked = subprocess.run(
        ["sh", "-c", f"{' '.join(NAMESPACE)} true"], capture_output=True, check=False, text=True
    )
    if asked.returncode != 0:
        reason = f"no full disk was tried, there is no unshare here: {asked.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.usefixtures("_own_mounts")
@pytest.mark.parametrize("size", ["300k", "4m"])
def test_a_full_disk_is_said_plainly_and_with_room_the_run_goes_on(
    size: str, whole: set[str], tmp_path: Path
) -> None:
    variables = {
        "FOLDER": str(tmp_path),
        "SIZE": size,
        "PYTHON": sys.executable,
        "EXPERIMENT": str(write_experiment(tmp_path)),
        "PIPELINES_RUNS_FOLDER": str(tmp_path / "disk"),
        "PIPELINES_CORES": "2",
        "OMP_NUM_THREADS": "1",
    }

    ended = subprocess.run(
        [*NAMESPACE, "sh", "-c", FULL_DISK],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
    )

    said = (tmp_path / "first.log").read_text() if (tmp_path / "first.log").exists() else ""
    assert ended.returncode == 0, (ended.stderr, said, _text(tmp_path / "second.log"))
    assert _text(tmp_path / "first.status") == "1\n"
    assert "the disk is full" in said
    assert "Traceback" not in said
    assert manifest_digests(tmp_path / "kept") == whole


def test_a_store_that_vanishes_is_said_plainly_and_once_back_the_run_goes_on(
    whole: set[str], tmp_path: Path
) -> None:
    experiment, runs = write_experiment(tmp_path), tmp_path / "runs"
    with running(experiment, runs) as run:
        run.wait_for_another_file_in("checkpoints")
        run.store.rename(tmp_path / "elsewhere")
        status = run.runner.wait(60)
        said = run.log.read_text()

    assert status == 1
    assert "store is unavailable" in said
    assert "Traceback" not in said
    assert not (runs / "store").exists()

    shutil.move(tmp_path / "elsewhere", runs / "store")
    with running(experiment, runs) as run:
        run.finish()
    assert manifest_digests(runs) == whole


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else "(absent)"
