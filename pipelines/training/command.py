"""The command line of the program: its arguments, its exit status. Loads torch only to train."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import start_http_server

from pipelines.training.errors import TrainingError
from pipelines.training.files import only_writer
from pipelines.training.process import StopSignal, exit_with_parent, keep_freed_memory
from pipelines.training.progress import Progress
from pipelines.training.settings import TrainingSettings
from pipelines.training.spec import read_spec

_UNUSABLE = 2


def main(arguments: Sequence[str]) -> int:
    """Train; return 0 when done, 2 when the input is unusable, 143 after SIGTERM."""
    flags = _parser().parse_args(arguments)
    settings = TrainingSettings()
    parent_pid = flags.parent_pid or settings.parent_pid
    if parent_pid is not None:
        exit_with_parent(parent_pid)
    keep_freed_memory()
    stop = StopSignal()
    progress = Progress(sys.stdout)
    port = flags.metrics_port or settings.metrics_port
    if port is not None:
        start_http_server(port)
    try:
        with only_writer(flags.output, settings.lock_wait_seconds):
            return _train(flags.spec, flags.output, settings.world_size, progress, stop)
    except TrainingError as error:
        progress.event("training.failed", error=str(error))
        sys.stderr.write(f"error: {error}\n")
        return _UNUSABLE


def _train(
    spec_path: Path, output: Path, world_size: int, progress: Progress, stop: StopSignal
) -> int:
    if world_size > 1:
        raise TrainingError(f"WORLD_SIZE is {world_size}: one process trains alone")
    spec = read_spec(spec_path)
    if (output / "result.json").exists():
        progress.event("training.already_done", output=str(output))
        return 0
    # Importing torch takes seconds, which a wrong spec should not cost.
    from pipelines.training.program import train  # noqa: PLC0415

    if not train(spec, output, progress, stop.requested):
        progress.event("training.stopped", exit_status=stop.exit_status)
        return stop.exit_status
    progress.event("training.done", output=str(output))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.training",
        description="Train one checkpoint. Run again after a kill, it continues where it was.",
    )
    parser.add_argument("spec", type=Path, help="JSON file, see README.md")
    parser.add_argument("--output", type=Path, required=True, help="directory to write to")
    parser.add_argument("--metrics-port", type=int, help="port of the Prometheus metrics")
    parser.add_argument(
        "--parent-pid", type=int, help="die with this process, the one that starts it (Linux)"
    )
    return parser
