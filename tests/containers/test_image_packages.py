"""What images leave out of their packages is missed by nothing that our code does."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.containers.engine import NETWORK, USER, DockerFailed, Engine
from tests.contract.tree import ROOMS, ROOT, modules, syntax
from tools.build_images import Image
from tools.image_parts import IMAGES

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

OURS = ("pipelines", "services")
FOLDERS = {
    **{room: [f"services/{each}" for each in sorted(IMAGES[room].services)] for room in ROOMS},
    "training": ["pipelines/jobs", "pipelines/training"],
    "runner": ["pipelines/experiment", "pipelines/cluster"],
}
"""Whose imports an image must be able to make, beside those of servicekit."""
ELSEWHERE = "pipelines/cluster/pipeline"
"""Has a lock of its own and is no part of an image's program."""
TESTS = {
    "scoreboard": (
        *("tests/scoreboard/test_gate_calls.py", "tests/scoreboard/test_macro_rates.py"),
        *("tests/scoreboard/test_scoreboard_calls.py", "tests/scoreboard/test_token_efficiency.py"),
    ),
    "dataset": (
        *("tests/dataset/test_authoring_recipes.py", "tests/dataset/test_gate_diversity.py"),
        *("tests/dataset/test_gate_duplicates.py", "tests/dataset/test_gate_shortcuts.py"),
        "tests/dataset/test_imported_chats.py",
    ),
}
"""Tests of ours that use what the packages of numbers, Parquet and tokenizers do."""
USED = {
    "scoreboard": {"numpy.random", "scipy.stats"},
    "dataset": {"datasketch", "numpy", "pyarrow.parquet", "sklearn.linear_model", "tokenizers"},
}
"""What those tests must have imported to say anything."""
RUNNERS = (
    *("hypothesis", "iniconfig", "packaging", "pluggy", "pygments", "pytest", "pytest-asyncio"),
    *("pytest-timeout", "sortedcontainers"),
)
"""Distributions that run tests; images do not have them."""
IMPORT = """
import importlib, sys
missing = []
for name in sys.argv[1:]:
    module, _, attribute = name.partition(":")
    try:
        if attribute and not hasattr(importlib.import_module(module), attribute):
            importlib.import_module(f"{module}.{attribute}")
        elif not attribute:
            importlib.import_module(module)
    except ImportError as error:
        missing.append(f"{name}: {error}")
sys.exit("\\n".join(missing) or 0)
"""
RUN_TESTS = """
import sys
sys.path += ["/repository", "/packages"]
import pytest
told = ["-q", "-p", "no:cacheprovider", "--config-file=/repository/pyproject.toml"]
# What stands above is for all tests, and asks for more than a room has.
told.append(f"--confcutdir=/repository/tests/{sys.argv[1]}")
status = pytest.main([*told, *(f"/repository/{each}" for each in sys.argv[2:])])
print("used:", *sorted(sys.modules))
sys.exit(status)
"""


def _imports(folder: str) -> Iterator[str]:
    """Everything of others' that code below a folder imports, as "module" or "module:name"."""
    for path in modules(folder):
        if not path.is_relative_to(ROOT / ELSEWHERE):
            for node in ast.walk(syntax(path)):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield from (f"{node.module}:{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", sorted(IMAGES))
def test_an_image_can_import_all_that_its_code_imports(
    engine: Engine, images: Mapping[str, Image], room: str
) -> None:
    names = {
        name
        for folder in (*FOLDERS[room], "services/servicekit")
        for name in _imports(folder)
        if not name.startswith(OURS)
    }
    place = ("--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--entrypoint=python")

    engine.docker("run", *place, images[room].name, "-c", IMPORT, *sorted(names))

    with pytest.raises(DockerFailed, match="No module named 'nothing'"):
        engine.docker("run", *place, images[room].name, "-c", IMPORT, "json", "nothing:at_all")


def _names_of_runners() -> set[str]:
    """Files and folders of the distributions that run tests."""
    files = (file for name in RUNNERS for file in distribution(name).files or ())
    return {file.parts[0] for file in files} - {"..", "__pycache__"}


@pytest.mark.parametrize("room", sorted(TESTS))
def test_tests_of_a_room_pass_with_the_packages_of_its_image(
    engine: Engine, images: Mapping[str, Image], room: str
) -> None:
    site = Path(sysconfig.get_path("purelib"))
    mounts = {
        "/repository/tests": ROOT / "tests",
        "/repository/pyproject.toml": ROOT / "pyproject.toml",
        **{f"/packages/{name}": site / name for name in _names_of_runners()},
    }

    done = engine.run(
        *("run", "--rm", f"--network={NETWORK}", f"--user={USER}:{USER}"),
        *("--read-only", "--tmpfs=/tmp", "--entrypoint=python"),
        *(f"--volume={here}:{path}:ro" for path, here in mounts.items()),
        *(images[room].name, "-c", RUN_TESTS, room, *TESTS[room]),
    )

    said, _, used = done.stdout.rpartition("used:")
    assert done.returncode == 0, said + done.stderr
    assert "skipped" not in said
    assert set(used.split()) >= USED[room]
