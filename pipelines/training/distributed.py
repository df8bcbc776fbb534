"""Processes that train one model together. Knows no model and no data."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed

from pipelines.training.errors import StartUnusable, TrainingError

_Value = TypeVar("_Value")

# One process may write a large model while the others wait. A process that dies is noticed at once.
_PATIENCE = dt.timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """This process among those that train together; methods are called by all of them."""

    rank: int = 0
    """Number of this process; 0 writes the files and the events."""
    size: int = 1
    local_rank: int = 0
    """Number of this process on its machine, and of its GPU."""
    local_size: int = 1
    device: str = "cpu"

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def total(self, *values: float) -> list[float]:
        """Add up each value over all processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return [float(each) for each in tensor.tolist()]

    def any(self, *flags: bool) -> list[bool]:
        """Tell for each flag whether a process has it set."""
        return [value > 0 for value in self.total(*map(float, flags))]

    def from_main(self, value: _Value) -> _Value:
        """Return the value of process 0."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def collect(self, value: _Value) -> list[_Value]:
        """Return the values of all processes, in the order of their ranks."""
        if self.size == 1:
            return [value]
        box: list[Any] = [None] * self.size
        distributed.all_gather_object(box, value)
        return box

    @contextmanager
    def together(self) -> Iterator[None]:
        """Leave the block when all processes have reached its end, or fail in all of them.

        Raises:
            TrainingError: what another process failed with, where a person can mend it.
            RuntimeError: another process crashed.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001  (raised again below)
            failure = error
        theirs = self.collect(None if failure is None else _told(failure, self.rank))
        if failure is not None:
            raise failure
        for each in theirs:
            if each is not None:
                raise each


def _told(failure: Exception, rank: int) -> Exception:
    """What the other processes end with: a crash is nobody's input, and may pass."""
    if isinstance(failure, TrainingError):
        return failure
    return RuntimeError(f"process {rank} failed: {type(failure).__name__}: {failure}")


ALONE = Group()


@contextmanager
def joined(
    *, rank: int, size: int, local_rank: int, local_size: int, device: str
) -> Iterator[Group]:
    """Join the other processes; torchrun sets where they meet.

    Raises:
        StartUnusable: there is no such device.
    """
    where = _device(device, local_rank)
    group = Group(rank=rank, size=size, local_rank=local_rank, local_size=local_size, device=where)
    if size == 1:
        yield group
        return
    try:
        distributed.init_process_group(backend(device), timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise StartUnusable(
            f"WORLD_SIZE is {size}, but the processes do not meet; start them with torchrun: "
            f"{error}"
        ) from error
    try:
        yield group
    finally:
        distributed.destroy_process_group()


def backend(device: str) -> str:
    """Return what processes talk through."""
    return "nccl" if device == "cuda" else "gloo"


def _device(kind: str, local_rank: int) -> str:
    if kind == "cpu":
        return kind
    if not torch.cuda.is_available():
        raise StartUnusable('device: "cuda" is asked for, but torch finds no GPU on this machine')
    if local_rank >= torch.cuda.device_count():
        raise StartUnusable(
            f"device: process {local_rank} of this machine has no GPU, it has only "
            f"{torch.cuda.device_count()}"
        )
    where = f"{kind}:{local_rank}"
    torch.cuda.set_device(where)
    return where
