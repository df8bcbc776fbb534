"""Ties the life of this process to the one that started it (Linux only)."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def exit_with_parent() -> None:
    """Ask the kernel for SIGTERM as soon as the thread that started this process ends.

    So a runner that is killed with SIGKILL leaves no orphan behind.

    Raises:
        OSError: the kernel refuses, or this is not Linux.
    """
    if sys.platform != "linux":
        raise OSError("exit_with_parent works on Linux only")
    parent = os.getppid()
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # Adopted by init: the parent died before it could be asked about, and no signal will come.
    if parent == 1 or os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
