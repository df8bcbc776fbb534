"""How long the whole loop takes, first and again, and how much memory all its processes take."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.results import Measure, Result, write_result

EXPERIMENT = "pipelines/examples/microworld.yaml"
STUDY = "pipelines/examples/microworld-study.yaml"
SAMPLE_SECONDS = 0.25
MIB = 2**20
FIRST_LIMIT_SECONDS = 300
AGAIN_LIMIT_SECONDS = 15
STUDY_LIMIT_SECONDS = 1200
MEMORY_LIMIT_MIB = 4096


def main() -> None:
    """Run the loop in an empty folder twice; with BENCH_STUDY=1 the study as well."""
    with tempfile.TemporaryDirectory() as folder:
        first_seconds, first_mib = _run(EXPERIMENT, Path(folder))
        again_seconds, _ = _run(EXPERIMENT, Path(folder))
    measures = [
        Measure.of(
            "make run, first time",
            unit="s",
            better="lower",
            ours=[first_seconds],
            limit=FIRST_LIMIT_SECONDS,
        ),
        Measure.of(
            "make run, from the store",
            unit="s",
            better="lower",
            ours=[again_seconds],
            limit=AGAIN_LIMIT_SECONDS,
        ),
        Measure.of(
            "memory of all processes together, at its peak",
            unit="MiB",
            better="lower",
            ours=[first_mib],
            limit=MEMORY_LIMIT_MIB,
        ),
    ]
    not_run = {}
    if os.environ.get("BENCH_STUDY"):
        with tempfile.TemporaryDirectory() as folder:
            study_seconds, _ = _run(STUDY, Path(folder))
        measures.append(
            Measure.of(
                "make study, first time",
                unit="s",
                better="lower",
                ours=[study_seconds],
                limit=STUDY_LIMIT_SECONDS,
            )
        )
    else:
        not_run["make study"] = "takes about 20 minutes; set BENCH_STUDY=1 to measure it"
    title = "The whole loop in the micro-world: data, training, hosting, honeypots, verdicts"
    write_result(Result.of("loop", title=title, measures=measures, not_run=not_run))


def _run(experiment: str, runs: Path) -> tuple[float, float]:
    """Run an experiment; return its seconds and the peak of all processes' memory in MiB.

    Memory is proportional set size, so pages that processes share count once.
    """
    environment = {**os.environ, "PIPELINES_RUNS_FOLDER": str(runs)}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "run", experiment], env=environment
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _memory_mib(process.pid))
        time.sleep(SAMPLE_SECONDS)
    seconds = time.monotonic() - begun
    if process.returncode:
        raise SystemExit(f"{experiment} ended with exit status {process.returncode}")
    return round(seconds, 1), round(peak, 0)


def _memory_mib(pid: int) -> float:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except (psutil.Error, AttributeError):
                continue
    except psutil.NoSuchProcess:
        return 0.0
    return total / MIB


if __name__ == "__main__":
    main()
