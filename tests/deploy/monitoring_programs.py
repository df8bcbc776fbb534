"""Prometheus and Alertmanager of Debian, installed where they are missing and that is allowed."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}


@functools.cache
def program(name: str) -> Path:
    """Path of a program. Where it cannot be had the tests say so, and fail in CI."""
    found = shutil.which(name) or (_install(PACKAGES[name]) and shutil.which(name))
    if found:
        return Path(found)
    what = f"{name} is missing: install Debian's {PACKAGES[name]}, or run as root so that we can"
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(f"DID NOT RUN: {what}")


def _install(package: str) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    # Other tests may be at it; apt waits for its lock.
    apt = ["apt-get", "--option", "DPkg::Lock::Timeout=120"]
    install = [*apt, "install", "--yes", "--no-install-recommends", package]
    return _succeeds(install) or (_succeeds([*apt, "update"]) and _succeeds(install))


def _succeeds(command: list[str]) -> bool:
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False)
