"""What images hold, as far as it can be said without building one; the rest: test-containers."""

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.tree import ROOMS, ROOT, imported_modules, modules, name_of
from tools.container_stage import CannotRun, main
from tools.image_parts import IMAGES, SHARED, requirements

DOCKERFILE = (ROOT / "deploy" / "images" / "Dockerfile").read_text()
README = (ROOT / "deploy" / "images" / "README.md").read_text()
PROGRAM = ROOT / "tools" / "image_parts.py"


def test_every_room_has_an_image_and_every_image_a_stage_and_a_row() -> None:
    stages = re.findall(r"^FROM run AS room-(\w+)$", DOCKERFILE, re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| (?:`python -m|what the job)", README, re.MULTILINE)

    assert set(IMAGES) == set(stages) == set(rows) == {*ROOMS, "training", "runner"}


@pytest.mark.parametrize("room", ROOMS)
def test_the_image_of_a_room_starts_that_room(room: str) -> None:
    stage = DOCKERFILE.partition(f"AS room-{room}\n")[2].partition("FROM ")[0]

    assert f'ENTRYPOINT ["python", "-m", "services.{room}"]' in stage


@pytest.mark.parametrize("room", sorted(IMAGES))
def test_an_image_holds_all_of_ours_that_its_code_imports(room: str) -> None:
    held = SHARED | IMAGES[room].services
    folders = [f"services/{each}" for each in sorted(held - {"stubs"})]
    if IMAGES[room].has_pipelines:
        folders.append("pipelines")

    missing = {
        f"{name_of(path)}: {name}"
        for path in modules(*folders)
        for name in imported_modules(path)
        if name.startswith("services.") and name.split(".")[1] not in held
    }

    assert missing == set()


def test_the_runner_holds_all_code_whose_digest_it_takes() -> None:
    taken = {
        name
        for path in modules("pipelines")
        for name in re.findall(r'code_digest\("services\.(\w+)"\)', path.read_text())
    }

    assert taken == {"serving"}
    assert taken <= IMAGES["runner"].services


def test_requirements_name_packages_and_never_ourselves() -> None:
    for room in IMAGES:
        assert not [line for line in requirements(room) if line.startswith("teachwhy")]
    assert {line for line in requirements("serving") if line.startswith(("torch", "kserve"))}
    assert not {line for line in requirements("runner") if line.startswith("torch")}


def test_pruning_leaves_a_room_its_own_code_and_what_all_share(tmp_path: Path) -> None:
    for folder in ("pipelines", *(f"services/{each}" for each in (*ROOMS, *SHARED, "microworld"))):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    copied = shutil.copy(PROGRAM, tmp_path / "tools")

    subprocess.run([sys.executable, copied, "prune", "rollout"], check=True)

    left = {path.name for path in (tmp_path / "services").iterdir()}
    assert left == {"rollout", "microworld", *SHARED}
    assert not (tmp_path / "pipelines").exists()


def test_an_unknown_image_is_refused_with_those_that_there_are() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "requirements", "judgee"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("ROOM is 'judgee'; there are: dataset, rollout, judge")


def test_a_build_sees_what_it_copies_and_no_more() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source.replace("${WHEELS}", "build/wheels")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    seen = {source for source in copied for each in allowed if fnmatch.fnmatch(source, f"{each}*")}

    assert seen == copied
    assert not {
        each for each in allowed - {"deploy/images/Dockerfile"} if not _copies(copied, each)
    }


def _copies(copied: set[str], folder: str) -> bool:
    return any(source.startswith(folder) for source in copied)


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_a_stage_that_cannot_run_says_so_and_fails_where_it_must_run(
    ci: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)

    def refuse() -> None:
        raise CannotRun("there is no Docker")

    assert main([], refuse) == status
    assert capsys.readouterr().err == "make test-containers DID NOT RUN: there is no Docker\n"
