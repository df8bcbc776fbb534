"""Runs the training program as a subprocess of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import orjson

from pipelines.experiment.launcher import TrainingFailed, TrainingJob, TrainingProgress
from pipelines.experiment.settings import inherited_environment

LAST_WORDS = 12
"""Lines of the program's output that a failure message quotes."""


class LocalLauncher:
    """A launcher whose jobs are child processes that die with this process."""

    async def train(self, job: TrainingJob, report: Callable[[TrainingProgress], None]) -> Path:
        """Run the job here; a job whose result is already in the folder returns at once."""
        job.folder.mkdir(parents=True, exist_ok=True)
        spec = job.folder / "spec.json"
        spec.write_bytes(orjson.dumps(job.spec, option=orjson.OPT_INDENT_2))
        output = job.folder / "output"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pipelines.training",
            str(spec),
            "--output",
            str(output),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**inherited_environment(), "TRAINING_PARENT_PID": str(os.getpid())},
        )
        last_words: deque[str] = deque(maxlen=LAST_WORDS)
        try:
            assert process.stdout is not None, "stdout is a pipe"
            async for line in process.stdout:
                progress = _progress(line)
                if progress is not None:
                    report(progress)
                elif text := line.decode(errors="replace").rstrip():
                    last_words.append(text)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if code != 0 or not (output / "result.json").exists():
            said = "\n  ".join(last_words) or "(nothing)"
            raise TrainingFailed(
                f"training {job.name} ended with exit status {code}; it said last:\n  {said}"
            )
        return output


def _progress(line: bytes) -> TrainingProgress | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict) or event.get("event") != "training.progress":
        return None
    return TrainingProgress(
        tokens=int(event["tokens"]),
        loss=float(event["loss"]),
        tokens_per_second=float(event["tokens_per_second"]),
    )
