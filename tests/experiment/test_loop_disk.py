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
TOO_SMALL = {
    "300k": "output/model cannot be written: the disk is full",
    "4m": "is unavailable: the disk is full",
}
"""What is said where there is room for the data alone, and for the trained model but once."""
FULL_DISK = """
set -eu
mkdir "$FOLDER/disk"
mount -t tmpfs -o size=4k none "$FOLDER/disk"
for size in $SIZES; do
    mount -o "remount,size=$size" "$FOLDER/disk"
    set +e
    "$PYTHON" -m pipelines run "$EXPERIMENT" > "$FOLDER/$size.log" 2>&1
    echo $? > "$FOLDER/$size.status"
    set -e
done
mount -o remount,size=1g "$FOLDER/disk"
"$PYTHON" -m pipelines run "$EXPERIMENT" > "$FOLDER/last.log" 2>&1
cp -r "$FOLDER/disk" "$FOLDER/kept"
"""


@pytest.fixture(scope="module")
def whole(whole_run: Path) -> set[str]:
    """Digests of all outputs of a run that nothing disturbed."""
    return manifest_digests(whole_run)


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
def test_a_full_disk_is_said_plainly_and_with_room_the_run_goes_on(
    whole: set[str], tmp_path: Path
) -> None:
    variables = {
        "FOLDER": str(tmp_path),
        "SIZES": " ".join(TOO_SMALL),
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

    said = {size: _text(tmp_path / f"{size}.log") for size in TOO_SMALL}
    assert ended.returncode == 0, (ended.stderr, said, _text(tmp_path / "last.log"))
    for size, expected in TOO_SMALL.items():
        assert _text(tmp_path / f"{size}.status") == "1\n"
        # A path may be as long as a line.
        assert expected in " ".join(said[size].split())
        assert "Traceback" not in said[size]
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
