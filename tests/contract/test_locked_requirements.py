"""Each lock is one plain environment that satisfies pyproject.toml."""

from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools.lock import (
    LOCK,
    LOCKS,
    PIPELINE_LOCK,
    Lock,
    declared_requirements,
    differing,
    pins_from_freeze,
    problems,
    read_lock,
    unmet,
)


def test_the_locks_satisfy_every_requirement_of_the_project() -> None:
    assert problems() == [], "run `make lock`"


def test_every_extra_is_in_a_lock_and_kfp_only_in_its_own() -> None:
    assert frozenset.intersection(*(lock.without for lock in LOCKS)) == frozenset()
    assert "kfp" in read_lock(PIPELINE_LOCK)
    assert "kfp" not in read_lock(LOCK)
    assert "torch" not in read_lock(PIPELINE_LOCK)


def test_a_lock_that_leaves_out_what_there_is_not_is_refused(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text("[project]\nname='x'\ndependencies=[]\n[project.optional-dependencies]\n")
    with pytest.raises(ValueError, match="no extra called absent"):
        declared_requirements(
            Lock(path=tmp_path, without=frozenset({"absent"}), what=""), pyproject
        )


def test_only_what_kfp_pins_differs_between_the_locks() -> None:
    one = {"pyarrow": Version("1"), "urllib3": Version("1"), "rich": Version("2")}
    other = {"pyarrow": Version("2"), "urllib3": Version("2"), "rich": Version("2")}

    assert list(differing(one, other)) == ["pyarrow is 1 in one lock and 2 in the other"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.path.name)
def test_every_line_of_a_lock_is_a_plain_pin(lock: Lock) -> None:
    lines = [line for line in lock.path.read_text().splitlines() if not line.startswith("#")]

    assert len(read_lock(lock)) == len(lines)
    assert not [line for line in lines if "+" in line or "@" in line or " " in line]


def test_the_tools_that_run_these_tests_are_the_locked_ones() -> None:
    pins = read_lock()

    assert {name: Version(version(name)) for name in ("pytest", "mypy", "ruff")} == {
        name: pins[name] for name in ("pytest", "mypy", "ruff")
    }


def test_a_missing_and_a_disallowed_pin_are_each_named() -> None:
    wanted = [Requirement("rich>=15,<16"), Requirement("absent>=1")]

    assert list(unmet(wanted, {"rich": Version("14.0")})) == [
        "rich<16,>=15 does not allow the locked rich==14.0",
        "absent>=1 is not in requirements.lock",
    ]


def test_a_requirement_for_another_system_is_not_missed() -> None:
    assert list(unmet([Requirement("absent; sys_platform == 'plan9'")], {})) == []


def test_what_differs_by_machine_stays_out_of_the_lock() -> None:
    frozen = ["torch==2.13.0+cpu", "pip==23.0", "nvidia-cublas==13.1", "triton==3.7"]

    assert pins_from_freeze(frozen) == {"torch": Version("2.13.0")}


def test_a_package_from_a_path_cannot_be_locked() -> None:
    with pytest.raises(ValueError, match="no `name==version` pin"):
        pins_from_freeze(["rich @ file:///elsewhere/rich.whl"])
