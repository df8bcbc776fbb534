"""Runs the tests that build images and run containers: `make test-containers`.

They get a Docker engine of their own. It lives in namespaces that end with this command, together
with its networks, firewall rules, mounts and containers, however the command ends; what it keeps
on disk lies in a folder that is removed. No engine of the machine is touched, and nothing in the
containers reaches the network.

What is missing is installed where it can be: Debian packages, and a base image made of them in
place of python:3.11-slim, so that no container registry is needed. Where the tests cannot run, this
says so, and fails with CI=true.

    python -m tools.container_stage [arguments of pytest]
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.build_images import ROOT, BuildFailed, get_wheels
from tools.image_parts import IMAGES

TESTS = "tests/containers"
PACKAGES = {
    "dockerd": "docker.io",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "ip": "iproute2",
}
"""Debian packages by the command that they bring."""
SUITE = "bookworm"
"""The Debian release whose python3 is 3.11."""
SUITE_PYTHON = (3, 11)
BASE_PACKAGES = ("ca-certificates", "python3-minimal", "python3-venv")
BASE = ROOT / ".tools" / f"base-{SUITE}.tar"
CONTROL_GROUPS = Path("/sys/fs/cgroup")
FREE_BYTES = 12 * 10**9
CLIENT = "/usr/bin/docker"
"""The client of the package, which knows its engine; PATH may name another one."""
PATHS = ("/usr/sbin", "/sbin")
"""Where Debian keeps commands that not every PATH names."""


class CannotRun(Exception):
    """This machine cannot run the stage. The message says why."""


def prepare() -> None:
    """Install and make what the tests need, where it is missing.

    Raises:
        CannotRun: it cannot be had here.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise CannotRun("it needs Linux and root, for a Docker engine of its own")
    if sys.version_info[:2] != SUITE_PYTHON:
        raise CannotRun("the base image has Python 3.11, so this environment must: make setup")
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES:
        raise CannotRun(f"{free / 1e9:.0f} GB of disk are free, and it needs {FREE_BYTES / 1e9:g}")
    _install(sorted({package for command, package in PACKAGES.items() if not _has(command)}))
    if not BASE.exists():
        _make_base()
    try:
        get_wheels(list(IMAGES))
    except BuildFailed as error:
        raise CannotRun(str(error)) from error


def _has(command: str) -> bool:
    return shutil.which(command, path=_path()) is not None


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), *PATHS])


def _install(packages: list[str]) -> None:
    if not packages:
        return
    if not _has("apt-get"):
        raise CannotRun(f"it needs {', '.join(packages)}, and there is no apt-get")
    print(f"container_stage: installing {', '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if _failed(install, environment) and (
        _failed(["apt-get", "update"], environment) or _failed(install, environment)
    ):
        raise CannotRun(f"apt-get cannot install {', '.join(packages)}")


def _failed(command: list[str], environment: dict[str, str]) -> bool:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(command)}: {done.stderr[-2000:]}", file=sys.stderr)
    return bool(done.returncode)


def _make_base() -> None:
    """Make a root file system of Debian with Python, about 220 MB."""
    print(f"container_stage: making {BASE.relative_to(ROOT)} of Debian packages", flush=True)
    BASE.parent.mkdir(exist_ok=True)
    begun = BASE.with_suffix(".begun.tar")
    command = ["mmdebstrap", "--quiet", "--variant=minbase"]
    command += [f"--include={','.join(BASE_PACKAGES)}", SUITE, str(begun)]
    try:
        if _failed(command, {**os.environ, "PATH": _path()}):
            raise CannotRun("mmdebstrap cannot make a base image")
        begun.rename(BASE)
    finally:
        begun.unlink(missing_ok=True)


def run_tests(arguments: list[str]) -> int:
    """Run pytest in namespaces of its own and return its exit status."""
    # All ends when this process does, killed or not.
    isolated = ["setpriv", "--pdeathsig=KILL", "unshare", "--kill-child"]
    isolated += ["--mount", "--net", "--pid", "--fork", "--mount-proc"]
    is_chosen = any(each.startswith(TESTS) for each in arguments)
    tests = arguments if is_chosen else [*arguments, TESTS]
    pytest = [sys.executable, "-m", "pytest", "-m", "containers", *tests]
    with _folder() as folder:
        environment = {
            **os.environ,
            "PATH": _path(),
            "TEACHWHY_CONTAINER_FOLDER": str(folder),
            "TEACHWHY_CONTAINER_BASE": str(BASE),
            "TEACHWHY_CONTAINER_CLIENT": CLIENT if Path(CLIENT).exists() else "docker",
            "DOCKER_BUILDKIT": "1",
            "OMP_NUM_THREADS": "1",
        }
        # A network namespace begins with its loopback down.
        command = [*isolated, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *pytest]
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            try:
                return process.wait()
            finally:
                process.kill()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that only one run has, without what a killed one left."""
    # Not below a folder of pytest's, whose names are too long for a socket.
    folder = Path(tempfile.gettempdir()) / "teachwhy-containers"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove(folder)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder, and the control groups of its name, which no namespace takes with it."""
    shutil.rmtree(folder, ignore_errors=True)
    for group in (*CONTROL_GROUPS.glob(folder.name), *CONTROL_GROUPS.glob(f"*/{folder.name}")):
        for path in sorted((group, *group.rglob("*/")), reverse=True):
            with suppress(OSError):  # somebody is still in it, or it is gone
                path.rmdir()


def main(arguments: list[str], prepared: Callable[[], None] = prepare) -> int:
    """Run the stage once ``prepared``, or say that it did not run."""
    try:
        prepared()
    except CannotRun as error:
        print(f"make test-containers DID NOT RUN: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI", "").lower() in {"1", "true"} else 0
    # As an exception, it lets the folder be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return run_tests(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
