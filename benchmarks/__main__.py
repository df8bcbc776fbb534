"""Runs benchmarks, each in its own process, and writes the tables of the README.

    python -m benchmarks             all
    python -m benchmarks loop        the named ones

Each module of this folder with a `main()` is a benchmark; it writes its own result.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.tables import update_tables

FOLDER = Path(__file__).parent


def benchmark_names(folder: Path = FOLDER) -> list[str]:
    """The modules of the folder that are benchmarks."""
    modules = (path for path in folder.glob("*.py") if path.stem != "__main__")
    return sorted(path.stem for path in modules if "\ndef main()" in path.read_text())


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all; go on after a failure, and return 1 if there was one."""
    known = benchmark_names()
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in arguments or known:
        print(f"benchmark {name}", flush=True)
        ended = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        if ended.returncode:
            failed.append(name)
    update_tables()
    if failed:
        print(f"failed, results not renewed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
