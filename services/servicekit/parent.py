"""Ties the life of this process to the one that started it (Linux only)."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def exit_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGTERM as soon as the thread that started this process ends.

    So a runner that is killed with SIGKILL leaves no orphan behind.

    Args:
        parent_pid: the process that should be the parent; if it no longer is, no signal would
            come, and this process ends at once.

    Raises:
        OSError: the kernel refuses, or this is not Linux.
    """
    if sys.platform != "linux":
        raise OSError("exit_with_parent works on Linux only")
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)
