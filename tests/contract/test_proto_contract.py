"""The protos are tidy, and they break no caller of the released contract."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.tree import GRPC_ROOMS, ROOT

PROTO = ROOT / "proto"
BASELINE = PROTO / "baseline.binpb"
BUF = Path(sys.executable).with_name("buf")


def _buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *arguments], capture_output=True, text=True, check=False)


def _breaking(proto: Path) -> subprocess.CompletedProcess[str]:
    return _buf("breaking", proto, "--against", BASELINE)


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A copy of proto/ that a test may edit."""
    return Path(shutil.copytree(PROTO, tmp_path / "proto"))


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_buf_lint_finds_nothing() -> None:
    result = _buf("lint", PROTO)

    assert result.returncode == 0, result.stdout + result.stderr


def test_buf_format_would_change_nothing() -> None:
    result = _buf("format", "--diff", "--exit-code", PROTO)

    assert result.returncode == 0, result.stdout


def test_the_contract_breaks_no_caller_of_the_released_one() -> None:
    result = _breaking(PROTO)

    assert result.returncode == 0, result.stdout + result.stderr


def test_removing_a_released_field_is_noticed(edited: Path) -> None:
    proto = edited / "teachwhy/common/v1/model.proto"
    field = next(line for line in proto.read_text().splitlines() if " = 2;" in line)
    _replace(proto, field, "")

    result = _breaking(edited)

    assert result.returncode != 0
    assert "deleted" in result.stdout


def test_removing_a_released_call_is_noticed(edited: Path) -> None:
    proto = edited / "teachwhy/judge/v1/judge_service.proto"
    call = next(line for line in proto.read_text().splitlines() if "rpc ListRubrics(" in line)
    _replace(proto, call, "")

    result = _breaking(edited)

    assert result.returncode != 0
    assert "ListRubrics" in result.stdout


def test_adding_a_field_breaks_nobody(edited: Path) -> None:
    proto = edited / "teachwhy/common/v1/model.proto"
    _replace(proto, "message ModelRef {", "message ModelRef {\n  // New.\n  string added = 99;")

    result = _breaking(edited)

    assert result.returncode == 0, result.stdout + result.stderr


def test_every_room_has_a_proto_package_of_its_name() -> None:
    packages = {path.name for path in (PROTO / "teachwhy").iterdir()} - {"common"}

    assert packages == set(GRPC_ROOMS)
