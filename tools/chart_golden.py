"""Keeps what the chart renders, so that a change of the chart is read as a change of objects.

python -m tools.chart_golden            write tests/deploy/golden/ anew
python -m tools.chart_golden --check    do the files say what the chart renders?
"""

import argparse
import difflib
import sys
from pathlib import Path

from tools.chart_render import ROOT, ci_files, in_order, masked, render
from tools.helm_binaries import MAJORS, helm

FOLDER = ROOT / "tests" / "deploy" / "golden"


def golden_text(values: Path) -> str:
    """What the file for these values has to say."""
    return masked(in_order(render(helm(MAJORS[-1]), [values])))


def difference(name: str, text: str) -> str:
    """How a text differs from what is kept under a name; empty where it does not."""
    path = FOLDER / f"{name}.yaml"
    kept = path.read_text("utf-8") if path.exists() else ""
    lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), "kept", "rendered", n=2)
    return "\n".join(lines)


def main() -> int:
    """Write or check all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    is_check = parser.parse_args().check
    texts = {name: golden_text(values) for name, values in ci_files().items()}
    differences = [found for name, text in texts.items() if (found := difference(name, text))]
    if is_check:
        print("\n".join(differences), end="")
        return 1 if differences else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.yaml"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        (FOLDER / f"{name}.yaml").write_text(text, encoding="utf-8")
    print(f"{len(texts)} files in {FOLDER.relative_to(ROOT)}; {len(differences)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
