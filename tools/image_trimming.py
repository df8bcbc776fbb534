"""What of its packages an image leaves out, by name and with the reason. Runs inside image builds.

    python3 tools/image_trimming.py dataset SITE   removes it from the folder SITE and says how much

Only files that no import in the image asks for are named here; tests/containers imports all that
our code imports and runs tests of ours with what is left. It needs the standard library only.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

_NUMBERS = ("numpy", "pandas", "pyarrow", "scipy", "sklearn")
_ESTIMATORS = (
    *("cluster", "compose", "covariance", "cross_decomposition", "datasets", "decomposition"),
    *("ensemble", "feature_selection", "gaussian_process", "impute", "inspection", "manifold"),
    *("mixture", "neighbors", "neural_network", "semi_supervised", "tree"),
)
_SCIPY_UNUSED = ("cluster", "datasets", "differentiate", "fftpack", "io", "misc", "odr", "signal")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that images leave out of one or more packages."""

    why: str
    patterns: tuple[str, ...] = ()
    """Files and folders below the folder of packages, as globs. Where the package of one is
    installed, the glob must find something."""
    distributions: tuple[str, ...] = ()
    """Whole distributions, by the name that pip knows."""
    images: frozenset[str] | None = None
    """All images where this is None."""


LEFT_OUT = (
    LeftOut(
        why="Tests of the packages, a third of what those weigh.",
        patterns=(
            *(f"{package}/**/tests" for package in _NUMBERS),
            "Crypto/SelfTest",
            "numpy/_core/_*_tests.*.so",
        ),
    ),
    LeftOut(
        why="Headers, sources and type stubs: nothing is compiled or checked in an image.",
        patterns=tuple(
            f"{package}/**/*.{suffix}"
            for package, suffixes in {
                "numpy": ("a", "c", "h", "pxd", "pyi", "pyx"),
                "pyarrow": ("cc", "h", "hpp", "pxd", "pxi", "pyx"),
                "scipy": ("h", "pxd", "pyi", "pyx"),
                "sklearn": ("c", "cpp", "h", "pxd", "pxi", "pyi", "pyx"),
            }.items()
            for suffix in suffixes
        ),
    ),
    LeftOut(
        why="A protocol and a store client that we do not use: our own store client is minio.",
        patterns=(
            "pyarrow/_flight.*.so",
            "pyarrow/_s3fs.*.so",
            "pyarrow/libarrow_flight.so.*",
            "pyarrow/libarrow_python_flight.so.*",
            "pyarrow/libarrow_s3.so.*",
        ),
    ),
    LeftOut(
        why="Copies, which wheels hold in place of links; the name with one number is asked for.",
        patterns=("pyarrow/libarrow_python*.so", "pyarrow/libarrow_python*.so.*.*.*"),
    ),
    LeftOut(
        why="Parts of SciPy that neither scipy.stats nor scikit-learn's linear models import.",
        patterns=tuple(f"scipy/{each}" for each in _SCIPY_UNUSED),
        images=frozenset({"dataset", "scoreboard"}),
    ),
    LeftOut(
        why="Estimators; the gate of shortcuts fits a linear one.",
        patterns=tuple(f"sklearn/{each}" for each in _ESTIMATORS),
        images=frozenset({"dataset"}),
    ),
    LeftOut(
        why="The tokenizers library asks a hub only for tokenizers by name; ours are files.",
        distributions=(
            *("anyio", "click", "filelock", "fsspec", "h11", "hf-xet", "httpcore2", "httpx2"),
            *("huggingface-hub", "packaging", "PyYAML", "tqdm", "truststore"),
        ),
        images=frozenset({"dataset"}),
    ),
)


class OutOfStep(Exception):
    """A package no longer holds what is named here. The message names it."""


def trim(image: str, site: Path) -> Iterator[tuple[LeftOut, int]]:
    """Remove what an image leaves out; yield each entry with the bytes that it took away.

    Raises:
        OutOfStep: an entry names nothing of a package that is installed.
    """
    for entry in LEFT_OUT:
        if entry.images is None or image in entry.images:
            found = {path for pattern in entry.patterns for path in _found(pattern, site)}
            found.update(path for name in entry.distributions for path in _files(name, site))
            yield entry, sum(_removed(path) for path in sorted(found))


def _found(pattern: str, site: Path) -> list[Path]:
    package = pattern.partition("/")[0]
    found = list(site.glob(pattern))
    if not found and (site / package).exists():
        raise OutOfStep(f"{package} holds no {pattern}: tools/image_trimming.py is out of step")
    return found


def _files(name: str, site: Path) -> list[Path]:
    """Files of a distribution below the folder of packages, and folders that are its alone."""
    wanted = re.sub(r"[-_.]+", "_", name).lower()
    for each in distributions(path=[str(site)]):
        if re.sub(r"[-_.]+", "_", each.metadata["Name"]).lower() == wanted:
            tops = {file.parts[0] for file in each.files or () if ".." not in file.parts}
            return [site / top for top in sorted(tops - {"__pycache__"})]
    raise OutOfStep(f"no {name} is installed: tools/image_trimming.py is out of step")


def _removed(path: Path) -> int:
    """Remove a file or folder, if nothing removed it before; return its bytes."""
    if path.is_dir():
        size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        shutil.rmtree(path)
        return size
    if not path.exists():
        return 0
    size = path.stat().st_size
    path.unlink()
    return size


def main(arguments: list[str]) -> int:
    """Do what the command line says; 2 for one that makes no sense."""
    match arguments:
        case [image, site] if Path(site).is_dir():
            try:
                for entry, size in trim(image, Path(site)):
                    print(f"{size / 1e6:8.1f} MB  {entry.why}")
            except OutOfStep as error:
                print(error, file=sys.stderr)
                return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
