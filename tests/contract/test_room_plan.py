"""Every room has the same plan: having read one, a newcomer has read all."""

import ast
import importlib
import re

import pytest

from tests.contract.tree import GRPC_ROOMS, ROOMS, ROOT, SERVICES, imported_modules, syntax

SHARED = {"microworld", "servicekit", "stubs"}
MAX_MAIN_LINES = 40
# What a domain module may not know: the wire, the environment and the other rooms' tools.
EDGE_MODULES = {"__init__", "__main__", "convert", "metrics", "service", "settings"}
# A room with much to translate or to call has more than one of a kind: audit_convert, judge_client.
EDGE_SUFFIXES = ("_convert", "_service", "_client")
WIRE = ("grpc", "google", "teachwhy", "prometheus_client", "pydantic_settings")


def is_edge(module: str) -> bool:
    return module in EDGE_MODULES or module.endswith(EDGE_SUFFIXES)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("file", ["README.md", "__init__.py", "__main__.py", "settings.py"])
def test_every_room_has_the_files_of_the_plan(room: str, file: str) -> None:
    assert (SERVICES / room / file).is_file()


@pytest.mark.parametrize("room", GRPC_ROOMS)
@pytest.mark.parametrize("file", ["service.py", "convert.py"])
def test_every_grpc_room_has_a_servicer_and_a_translation(room: str, file: str) -> None:
    assert (SERVICES / room / file).is_file()


def test_services_holds_the_rooms_and_what_they_share_and_nothing_else() -> None:
    folders = {path.parent.name for path in SERVICES.glob("*/__init__.py")} | {"stubs"}

    assert folders == set(ROOMS) | SHARED


@pytest.mark.parametrize("room", sorted(SHARED - {"stubs"}))
def test_what_rooms_share_says_in_a_readme_what_it_is(room: str) -> None:
    assert (SERVICES / room / "README.md").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_a_composition_root_is_short(room: str) -> None:
    lines = (SERVICES / room / "__main__.py").read_text().splitlines()

    assert len(lines) <= MAX_MAIN_LINES


@pytest.mark.parametrize("room", GRPC_ROOMS)
def test_a_composition_root_decides_nothing(room: str) -> None:
    tree = syntax(SERVICES / room / "__main__.py")
    branches = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.Match | ast.ClassDef)
        and node not in tree.body  # `if __name__ == "__main__"` stands at the top level
    ]

    assert not branches, f"line {branches[0].lineno}: logic belongs into a module of the room"


@pytest.mark.parametrize("room", GRPC_ROOMS)
def test_domain_modules_know_nothing_of_the_wire(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (SERVICES / room).rglob("*.py")
        if not is_edge(path.stem)
        for name in imported_modules(path)
        if name.partition(".")[0] in WIRE
    }

    assert not found


@pytest.mark.parametrize("room", GRPC_ROOMS)
def test_a_room_readme_names_every_call_of_its_service(room: str) -> None:
    stub = importlib.import_module(f"teachwhy.{room}.v1.{room}_service_pb2")
    service = stub.DESCRIPTOR.services_by_name[f"{room.title()}Service"]
    readme = (SERVICES / room / "README.md").read_text()

    assert not [method.name for method in service.methods if method.name not in readme]


def test_the_room_table_of_the_readme_lists_the_services() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| *\[?`services/(\w+)/?`", readme, flags=re.MULTILINE)

    assert set(ROOMS) <= set(rows) <= set(ROOMS) | SHARED
    assert len(rows) == len(set(rows))
