"""Runs of a tiny experiment in processes of their own, and what they left in the store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "pipelines" / "examples"
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 240.0
PROMOTION = {"arm": "advice-reasons", "service": "agent", "baseline": "generic-chat"}


def write_experiment(folder: Path, **sections: object) -> Path:
    """Write the shipped example, shrunk to two arms of a few thousand tokens, and ``sections``."""
    content = yaml.safe_load((EXAMPLES / "microworld.yaml").read_text(encoding="utf-8"))
    budgets = {"generic-chat": 3000, "advice-reasons": 3000}
    content["name"] = "tiny"
    content["seeds"] = [0]
    content["base"]["tokens"] = 12_000
    content["base"]["training"]["threads"] = 1
    content["arms"] = [
        {**arm, "tokens": budgets[arm["name"]]} for arm in content["arms"] if arm["name"] in budgets
    ]
    content["evaluation"]["suites"] = ["microworld-held-out", "microworld-held-out-twins"]
    content["evaluation"]["draws_per_scenario"] = 1
    content.pop("efficiency", None)
    content |= sections
    template = content["base"]["tokenizer"]["chat_template"]
    (folder / template).write_bytes((EXAMPLES / template).read_bytes())
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A run in its own process."""

    runner: subprocess.Popen[bytes]
    runs: Path
    log: Path

    @property
    def store(self) -> Path:
        return self.runs / "store"

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Poll until the condition holds; a run that ends before it does is a failure."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            code = self.runner.poll()
            assert code is None, f"the run ended with {code}: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(POLL_SECONDS)

    def wait_for_another_file_in(self, folder: str) -> None:
        """Wait until the store holds an object there that it does not hold now."""
        before = self._num_files_in(folder)
        self.wait_until(lambda: self._num_files_in(folder) > before)

    def _num_files_in(self, folder: str) -> int:
        return sum(path.is_file() for path in (self.store / folder).rglob("*"))

    def kill(self) -> list[psutil.Process]:
        """Kill the runner as kill -9 does and return the processes it had."""
        children = psutil.Process(self.runner.pid).children(recursive=True)
        self.runner.kill()
        self.runner.wait()
        return children

    def kill_service(self, name: str) -> None:
        """Kill one service, as soon as there is one."""
        self.wait_until(lambda: bool(self._services(name)))
        for process in self._services(name):
            process.kill()

    def _services(self, name: str) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self.runner.pid).children():
            with suppress(psutil.Error):
                if f"services.{name}" in process.cmdline():
                    found.append(process)
        return found

    def finish(self) -> None:
        code = self.runner.wait(PATIENCE_SECONDS)
        assert code == 0, self.log.read_text(encoding="utf-8")[-4000:]


@contextmanager
def running(experiment: Path, runs: Path) -> Iterator[Running]:
    """Start ``python -m pipelines run`` over a runs folder; end it when the block ends."""
    runs.mkdir(exist_ok=True)
    log = runs / "run.log"
    variables = {
        "PIPELINES_RUNS_FOLDER": str(runs),
        "PIPELINES_CORES": "2",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("ab") as sink:
        runner = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "run", str(experiment)],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        yield Running(runner=runner, runs=runs, log=log)
    finally:
        runner.kill()
        runner.wait()


def run_undisturbed(folder: Path) -> None:
    """Run the tiny experiment with its promotion to its end, over ``runs`` in the folder."""
    with running(write_experiment(folder, promotion=PROMOTION), folder / "runs") as run:
        run.finish()


def assert_gone(processes: list[psutil.Process]) -> None:
    """Wait, not for long, until none of the processes is left."""
    assert processes, "the runner had no processes"
    _, alive = psutil.wait_procs(processes, timeout=30)
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert not alive


def contents(runs: Path) -> dict[str, str]:
    """SHA-256 by key of everything in the store, less the times at which it was made."""
    store = runs / "store"
    found = {}
    for folder in ("datasets", "checkpoints", "episodes"):
        for path in sorted((store / folder).rglob("*")):
            # training.json holds durations. A file with "~" in its name was being written by a
            # process that was killed: no object.
            if path.is_file() and path.name != "training.json" and "~" not in path.name:
                key = path.relative_to(store).as_posix()
                found[key] = hashlib.sha256(without_times(key, path.read_bytes())).hexdigest()
    return found


def without_times(key: str, body: bytes) -> bytes:
    """Take out when the scoreboard recorded, how long training took, and their digests."""
    if not key.endswith(("/record.json", "/manifest.json")):
        return body
    content = orjson.loads(body)
    if key.endswith("/record.json"):
        del content["record"]["create_time"], content["record_sha256"]
    elif key.startswith("checkpoints/"):
        del content["files"]["training.json"]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def manifest_digests(runs: Path) -> set[str]:
    paths = (runs / "store").rglob("manifest.json")
    return {orjson.loads(path.read_bytes())["digest"] for path in paths}


def results(runs: Path) -> object:
    return orjson.loads((runs / "tiny" / "report.json").read_bytes())["results"]


def promotion(runs: Path) -> dict[str, object]:
    """What the last report says of the promotion."""
    found: dict[str, object] = orjson.loads((runs / "tiny" / "report.json").read_bytes())["run"]
    assert isinstance(found["promotion"], dict)
    return found["promotion"]


def stamps(runs: Path) -> dict[str, tuple[int, int]]:
    """Inode and change time of every file of an output."""
    found = {}
    for folder in ("datasets", "checkpoints", "episodes"):
        for path in (runs / "store" / folder).rglob("*"):
            status = path.stat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns)
    return found
