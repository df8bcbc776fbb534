"""The program in this process, and as a process of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.training.program import train
from pipelines.training.progress import Progress
from pipelines.training.spec import TrainingSpec

Train = Callable[..., list[dict[str, Any]]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def _same_torch_for_everyone() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def train_here() -> Train:
    """Trains in this process and returns the events."""

    def run(
        spec: dict[str, Any], output: Path, stop_requested: Callable[[], bool] = lambda: False
    ) -> list[dict[str, Any]]:
        output.mkdir(parents=True, exist_ok=True)
        stream = io.StringIO()
        checked = TrainingSpec.model_validate_json(json.dumps(spec))
        train(checked, output, Progress(stream), stop_requested)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return run


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[Start]:
    """Starts the program as a process, or as several; whatever runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(
        spec: dict[str, Any],
        output: Path,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        processes: int = 1,
    ) -> subprocess.Popen[str]:
        path = tmp_path / "spec.json"
        path.write_text(json.dumps(spec))
        together = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                *([*together, "-m"] if processes > 1 else []),
                "pipelines.training",
                str(path),
                "--output",
                str(output),
                *flags,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
