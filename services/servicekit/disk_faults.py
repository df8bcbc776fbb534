"""Faults of disks and file systems in words that an operator understands. Knows no store."""

import errno

_PLAIN_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the largest file allowed here",
    errno.EACCES: "this process has no permission",
    errno.EPERM: "this process has no permission",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an input/output error",
    errno.ESTALE: "the network file system lost the directory",
}


def disk_fault(error: OSError) -> str | None:
    """Say what is wrong with the disk; None if the error is of another kind."""
    return _PLAIN_WORDS.get(error.errno or 0)
