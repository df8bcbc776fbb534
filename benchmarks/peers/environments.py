"""Makes a peer's environment from its pinned requirements, once."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parents[1] / ".venv-peers"


def peer_python(name: str) -> Path:
    """Return the interpreter in which a peer is installed, installing it if it is not.

    Raises:
        subprocess.CalledProcessError: its requirements could not be installed.
    """
    requirements = FOLDER / f"{name}.txt"
    environment = ENVIRONMENTS / name
    python, stamp = environment / "bin" / "python", environment / "installed.txt"
    if not stamp.exists() or stamp.read_bytes() != requirements.read_bytes():
        print(f"installing {name} into {environment.relative_to(Path.cwd())}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        # The file holds every package; a peer that asks for today's certificates gets last week's.
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps"]
        pip += ["--requirement", str(requirements)]
        subprocess.run(pip, check=True)
        stamp.write_bytes(requirements.read_bytes())
    return python


def peer_version(name: str) -> str:
    """The pinned version of a peer. Example: "distilabel 1.5.3"."""
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        package, _, version = line.partition("==")
        if package == name:
            return f"{name} {version}"
    raise ValueError(f"benchmarks/peers/{name}.txt does not pin {name}")
