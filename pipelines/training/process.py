"""What the process does with its surroundings: signals, its parent. Knows no training."""

import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
# Names and numbers of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_LARGEST_MMAP_THRESHOLD = 32 << 20
_KEPT_BYTES = 1 << 30
_GROWTH_BYTES = 64 << 20
_SIGNAL_STATUS = 128


class StopSignal:
    """Remembers that the process was asked to end."""

    def __init__(self) -> None:
        """Take over SIGTERM and SIGINT."""
        self._received: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: object) -> None:
        self._received = number

    def requested(self) -> bool:
        """Whether the process was asked to end."""
        return self._received is not None

    @property
    def exit_status(self) -> int:
        """What a shell reports for a process that ended by this signal, or by another's SIGTERM."""
        return _SIGNAL_STATUS + (self._received or signal.SIGTERM)


def exit_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that ends.

    Args:
        parent_pid: the process that should be the parent; if it no longer is, this process ends.

    Raises:
        OSError: the kernel refuses, or this is not Linux.
    """
    if sys.platform != "linux":
        raise OSError("exit_with_parent needs Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have ended before the request reached the kernel.
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def leave(status: int) -> NoReturn:
    """End the process at once, with all that was said written out.

    Threads of torch outlive a process group and may free an object of Python when the interpreter
    is being taken down, which aborts the process (pytorch/pytorch pull request 179291): a training
    that is done and on disk would end with SIGABRT, and torchrun would call it failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def keep_freed_memory() -> None:
    """Let malloc keep what is freed; does nothing where malloc is not glibc's.

    By default every tensor of more than 128 KiB is a fresh mapping that faults in page by page.
    A small model has hundreds of them a step, and the faults took a third of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_TOP_PAD, _GROWTH_BYTES)
