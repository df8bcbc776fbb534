"""The command line of the program: its arguments, its exit status. Loads torch only to train."""

import argparse
import os
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
    _end_with_parent(flags.parent_pid or settings.parent_pid, settings.world_size)
    keep_freed_memory()
    stop = StopSignal()
    is_main = settings.rank == 0
    progress = Progress(sys.stdout if is_main else None)
    port = flags.metrics_port or settings.metrics_port
    if port is not None and is_main:
        start_http_server(port)
    try:
        if is_main:
            with only_writer(flags.output, settings.lock_wait_seconds):
                return _train(flags.spec, flags.output, settings, progress, stop)
        return _train(flags.spec, flags.output, settings, progress, stop)
    except TrainingError as error:
        progress.event("training.failed", error=str(error))
        speaker = "error" if is_main else f"error of process {settings.rank}"
        sys.stderr.write(f"{speaker}: {error}\n")
        return _UNUSABLE


def _end_with_parent(parent_pid: int | None, world_size: int) -> None:
    if world_size > 1 and sys.platform == "linux":
        # torchrun stops its processes when it ends, unless it is killed.
        parent_pid = os.getppid()
    if parent_pid is not None:
        exit_with_parent(parent_pid)


def _train(
    spec_path: Path,
    output: Path,
    settings: TrainingSettings,
    progress: Progress,
    stop: StopSignal,
) -> int:
    spec = read_spec(spec_path)
    if settings.world_size == 1 and _is_done(output, progress):
        return 0
    # Importing torch takes seconds, which a wrong spec should not cost.
    from pipelines.training.distributed import joined  # noqa: PLC0415
    from pipelines.training.program import train  # noqa: PLC0415

    with joined(
        rank=settings.rank,
        size=settings.world_size,
        local_rank=settings.rank if settings.local_rank is None else settings.local_rank,
        local_size=settings.local_world_size or settings.world_size,
        device=spec.device,
    ) as group:
        if group.from_main(settings.world_size > 1 and _is_done(output, progress)):
            return 0
        if not train(
            spec,
            output,
            progress,
            stop.requested,
            group=group,
            peak_teraflops=settings.peak_teraflops,
        ):
            progress.event("training.stopped", exit_status=stop.exit_status)
            return stop.exit_status
    progress.event("training.done", output=str(output))
    return 0


def _is_done(output: Path, progress: Progress) -> bool:
    is_done = (output / "result.json").exists()
    if is_done:
        progress.event("training.already_done", output=str(output))
    return is_done


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
