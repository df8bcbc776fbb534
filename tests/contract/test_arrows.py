"""Arrows between packages point one way."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, imported_modules, modules, name_of

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
# The packages that only some folders may import, directly or not; heavy ones among them.
OWNERS = {
    "kserve": ("services/serving/",),
    "kubernetes": ("pipelines/cluster/",),
    "kubeflow": ("pipelines/cluster/",),
    "torch": ("services/serving/", "pipelines/training/"),
    "transformers": ("services/serving/", "pipelines/training/"),
    "scipy": ("services/scoreboard/",),
    "statsmodels": ("services/scoreboard/",),
}


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_arrows_point_the_way_the_design_says() -> None:
    result = _lint_imports(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


def test_a_room_that_imports_another_room_is_noticed(tmp_path: Path) -> None:
    copied = shutil.ignore_patterns("__pycache__")
    for folder in ("services", "pipelines"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=copied)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "services/judge/shortcut.py").write_text("import services.rollout.episode\n")

    result = _lint_imports(tmp_path)

    assert result.returncode != 0
    assert "services.judge.shortcut -> services.rollout.episode" in result.stdout


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_with_an_owner_is_imported_by_nobody_else(package: str) -> None:
    importers = {
        name_of(path)
        for path in modules("services", "pipelines")
        if any(name.partition(".")[0] == package for name in imported_modules(path))
    }

    assert {name for name in importers if not name.startswith(OWNERS[package])} == set()
