"""Seeds and shares drawn for the parts of a dataset; cheaper than digests of canonical JSON."""

import hashlib
import math

_SEED_BITS = 63  # fits a signed 64-bit field everywhere


def seed_of(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on every part and on nothing else."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - _SEED_BITS)


def share_of(*parts: str | int) -> float:
    """Return a number in [0, 1) that depends on every part and on nothing else."""
    return math.ldexp(seed_of(*parts), -_SEED_BITS)
