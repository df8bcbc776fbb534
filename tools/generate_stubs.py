"""Generates services/stubs/teachwhy from proto/, or checks that the committed stubs are current.

Knows nothing about what the messages mean. `_grpc` modules are written only for files that
define a service. The compiler comes pinned with the lock, so that the same protos give the same
bytes everywhere.

    python -m tools.generate_stubs            write services/stubs/teachwhy
    python -m tools.generate_stubs --check    compare with a fresh generation, write nothing
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROTO = ROOT / "proto"
STUBS = ROOT / "services" / "stubs" / "teachwhy"

_SERVICE = re.compile(r"^service \w+ \{", re.MULTILINE)


def generate(into: Path, proto: Path = PROTO) -> None:
    """Compile every .proto file under `proto` into the folder `into`.

    Raises:
        subprocess.CalledProcessError: if the compiler rejects a file; it has said why on stderr.
    """
    files = sorted(path.relative_to(proto) for path in proto.rglob("*.proto"))
    services = [path for path in files if _SERVICE.search((proto / path).read_text())]
    into.mkdir(parents=True, exist_ok=True)
    _compile(proto, files, [f"--python_out={into}", f"--mypy_out=quiet:{into}"])
    _compile(proto, services, [f"--grpc_python_out={into}", f"--mypy_grpc_out=quiet:{into}"])
    for package in {path.parts[0] for path in files}:
        (into / package / "py.typed").touch()


def _compile(proto: Path, files: list[Path], outputs: list[str]) -> None:
    # protoc finds the mypy plugins on PATH; they lie beside this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={proto}", *outputs]
    subprocess.run(
        [*command, *map(str, files)],
        check=True,
        cwd=proto,
        env={**os.environ, "PATH": path},
    )


def differences(committed: Path, fresh: Path) -> Iterator[str]:
    """One sentence for each file that is missing, left over or different in `committed`."""
    ours, theirs = _contents(committed), _contents(fresh)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours:
            yield f"{name} is missing"
        elif name not in theirs:
            yield f"{name} has no .proto file any more"
        elif ours[name] != theirs[name]:
            yield f"{name} differs from its .proto file"


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.suffix in {".py", ".pyi", ".typed"})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def main() -> int:
    """Replace the stubs by a fresh generation, or with --check compare them with one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="teachwhy-stubs-") as folder:
        generate(Path(folder))
        fresh = Path(folder) / STUBS.name
        if not check:
            shutil.rmtree(STUBS, ignore_errors=True)
            shutil.copytree(fresh, STUBS)
            return 0
        problems = list(differences(STUBS, fresh))
    for problem in problems:
        print(f"services/stubs/teachwhy/{problem}: run `make proto`", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
