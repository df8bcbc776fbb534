"""requirements.lock is one plain environment that satisfies pyproject.toml."""

from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools.lock import LOCK, declared_requirements, pins_from_freeze, read_lock, unmet


def test_the_lock_satisfies_every_requirement_of_the_project() -> None:
    assert list(unmet(declared_requirements(), read_lock())) == [], "run `make lock`"


def test_every_line_of_the_lock_is_a_plain_pin() -> None:
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]

    assert len(read_lock()) == len(lines)
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
