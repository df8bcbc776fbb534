"""What images leave out of their packages; that nothing misses it is shown by test-containers."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.tree import ROOT
from tools.image_parts import IMAGES
from tools.image_trimming import LEFT_OUT, OutOfStep, trim

PROGRAM = ROOT / "tools" / "image_trimming.py"


def _write(site: Path, *names: str) -> None:
    for name in names:
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#" * 1000)


def _left(site: Path) -> set[str]:
    return {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


def _crypto(site: Path) -> None:
    _write(site, "Crypto/Cipher/AES.py", "Crypto/SelfTest/Cipher/common.py", "minio/api.py")


def test_what_is_named_goes_with_its_size_and_the_rest_stays(tmp_path: Path) -> None:
    _crypto(tmp_path)

    took = {entry.why: size for entry, size in trim("judge", tmp_path) if size}

    assert _left(tmp_path) == {"Crypto/Cipher/AES.py", "minio/api.py"}
    assert list(took.values()) == [1000]


def test_an_image_keeps_what_only_others_leave_out(tmp_path: Path) -> None:
    site = tmp_path / "site"
    signal = "scipy/signal/windows.py"
    for image in ("runner", "scoreboard"):
        everything = [
            pattern.replace("**/", "part/").replace("*", "x")
            for entry in LEFT_OUT
            for pattern in entry.patterns
            if pattern.startswith("scipy/")
        ]
        _write(site, "scipy/stats/tests.py", *(f"{each}/one.py" for each in everything), signal)
        list(trim(image, site))
        assert (site / signal).exists() == (image == "runner")


def test_a_distribution_goes_with_its_metadata(tmp_path: Path) -> None:
    for entry in LEFT_OUT:
        for name in entry.distributions:
            module = name.replace("-", "_").lower()
            info = f"{module}-1.0.dist-info"
            _write(tmp_path, f"{module}/client.py")
            (tmp_path / info).mkdir()
            (tmp_path / info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n")
            listed = f"../../bin/{module},,\n{module}/client.py,,\n{info}/METADATA,,\n"
            (tmp_path / info / "RECORD").write_text(listed)
    _write(tmp_path, "tokenizers/tokenizers.py")

    list(trim("dataset", tmp_path))

    assert _left(tmp_path) == {"tokenizers/tokenizers.py"}


def test_an_entry_that_names_nothing_ends_the_build(tmp_path: Path) -> None:
    _write(tmp_path, "Crypto/Cipher/AES.py")

    with pytest.raises(OutOfStep, match="Crypto holds no Crypto/SelfTest"):
        list(trim("judge", tmp_path))
    done = subprocess.run(
        [sys.executable, PROGRAM, "judge", tmp_path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "out of step" in done.stderr


def test_a_build_says_what_it_leaves_out_and_why(tmp_path: Path) -> None:
    _crypto(tmp_path)

    done = subprocess.run(
        [sys.executable, PROGRAM, "judge", tmp_path], capture_output=True, text=True, check=True
    )

    shown = [entry.why for entry in LEFT_OUT if entry.images is None]
    assert [line.partition("MB  ")[2] for line in done.stdout.splitlines()] == shown


def test_only_images_that_there_are_leave_something_out() -> None:
    for entry in LEFT_OUT:
        assert (entry.images or set()) <= set(IMAGES)
        assert entry.why
        assert entry.patterns or entry.distributions
