"""How the training program is started: alone, or as several processes under torchrun."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.jobs.settings import JobsSettings

PROGRAM = "pipelines.training"
_OF_A_GROUP = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to execute."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def program_command(
    settings: JobsSettings, inherited: Mapping[str, str], *arguments: str
) -> Command:
    """Return the command that runs the training program.

    Args:
        settings: nodes and processes.
        inherited: this process's environment.
        arguments: those of the program.
    """
    environment = {name: value for name, value in inherited.items() if name not in _OF_A_GROUP}
    environment["PYTHONSAFEPATH"] = "1"  # what lies in the job's folder is data, never code
    processes = settings.node_processes or str(settings.processes)
    is_one_node = settings.nodes in {"1", "1:1"}
    if is_one_node:
        environment = {
            name: value for name, value in environment.items() if not name.startswith("PET_")
        }
    if is_one_node and processes == "1":
        environment["TRAINING_PARENT_PID"] = str(os.getpid())
        return Command(
            arguments=(sys.executable, "-m", PROGRAM, *arguments), environment=environment
        )
    torchrun = (
        *(sys.executable, "-m", "torch.distributed.run"),
        *(("--standalone",) if is_one_node else _meeting(settings)),
        f"--nproc-per-node={processes}",
        f"--shutdown-timeout={round(settings.stop_seconds)}",
        *("--module", PROGRAM),
    )
    return Command(arguments=(*torchrun, *arguments), environment=environment)


def _meeting(settings: JobsSettings) -> tuple[str, ...]:
    """How several nodes find each other; for an elastic training the rest is in PET_RDZV_*."""
    options = [f"--nnodes={settings.nodes}", f"--node-rank={settings.node_rank}"]
    if settings.master_address is not None:
        options.append(f"--master-addr={settings.master_address}")
    if settings.master_port is not None:
        options.append(f"--master-port={settings.master_port}")
    return tuple(options)
