"""The stubs in services/stubs are what the protos generate."""

import shutil
from pathlib import Path

import pytest

from tools.generate_stubs import PROTO, STUBS, differences, generate


@pytest.fixture(scope="module")
def fresh_stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    generate(folder)
    return folder / STUBS.name


def test_the_committed_stubs_are_what_the_protos_generate(fresh_stubs: Path) -> None:
    assert list(differences(STUBS, fresh_stubs)) == [], "run `make proto`"


def test_an_edited_a_missing_and_a_leftover_stub_are_each_named(
    fresh_stubs: Path, tmp_path: Path
) -> None:
    committed = tmp_path / "teachwhy"
    shutil.copytree(fresh_stubs, committed)
    with (committed / "judge/v1/verdict_pb2.py").open("a") as stub:
        stub.write("# edited\n")
    (committed / "judge/v1/verdict_pb2.pyi").unlink()
    (committed / "judge/v1/opinion_pb2.py").touch()

    assert list(differences(committed, fresh_stubs)) == [
        "judge/v1/opinion_pb2.py has no .proto file any more",
        "judge/v1/verdict_pb2.py differs from its .proto file",
        "judge/v1/verdict_pb2.pyi is missing",
    ]


def test_generating_twice_gives_the_same_bytes(fresh_stubs: Path, tmp_path: Path) -> None:
    generate(tmp_path)

    assert list(differences(tmp_path / STUBS.name, fresh_stubs)) == []


def test_only_files_with_a_service_get_grpc_stubs(fresh_stubs: Path) -> None:
    with_stubs = {path.name for path in fresh_stubs.rglob("*_pb2_grpc.py")}
    with_service = {path.name for path in PROTO.rglob("*_service.proto")}

    assert with_stubs == {name.replace(".proto", "_pb2_grpc.py") for name in with_service}
