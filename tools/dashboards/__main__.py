"""Write the dashboards into the chart, or say whether they are as written."""

import argparse
import json
import sys
from pathlib import Path

from tools.dashboards.alignment import ALIGNMENT
from tools.dashboards.data import DATA
from tools.dashboards.page_json import page_json
from tools.dashboards.parts import Dashboard
from tools.dashboards.services import SERVICES
from tools.dashboards.serving import SERVING
from tools.dashboards.training import TRAINING

PAGES = (ALIGNMENT, SERVICES, DATA, TRAINING, SERVING)
FOLDER = Path(__file__).parents[2] / "deploy" / "helm" / "teachwhy" / "dashboards"


def text_of(page: Dashboard) -> str:
    """Return the file of a dashboard: keys sorted, two spaces, no times."""
    return json.dumps(page_json(page), indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def main() -> int:
    """Return 1 if asked to check and a file is not as written."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    texts = {FOLDER / f"{page.name}.json": text_of(page) for page in PAGES}
    stale = [path for path, text in texts.items() if _content(path) != text]
    strangers = set(FOLDER.glob("*.json")) - set(texts)
    if check:
        for path in (*stale, *sorted(strangers)):
            print(f"{path.name} is not what python -m tools.dashboards writes")
        return 1 if stale or strangers else 0
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
        print(f"wrote {path.name}")
    for path in sorted(strangers):
        path.unlink()
    return 0


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
