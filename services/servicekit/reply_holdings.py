"""Which keys are surely not held, in memory of a fixed size. Knows no file.

A Bloom filter with one bit for each key: keys are digests, so a part of one is a hash already.
"""

from collections.abc import Iterable

_PLACES = 1 << 25  # 4 MiB; of a million keys held, 3 in 100 others look held too
_DIGITS = 8  # hexadecimal digits of a key that choose its place


class Holdings:
    """A set of keys that forgets none and may take a few others for its own."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bits = bytearray(_PLACES // 8)

    def add(self, keys: Iterable[bytes]) -> None:
        """Note keys, given as their 32 bytes."""
        bits = self._bits
        for key in keys:
            place = int.from_bytes(key[: _DIGITS // 2], "big") % _PLACES
            bits[place >> 3] |= 1 << (place & 7)

    def surely_lacks(self, key: str) -> bool:
        """Say whether a key, given as 64 hexadecimal digits, was never noted."""
        place = int(key[:_DIGITS], 16) % _PLACES
        return not self._bits[place >> 3] >> (place & 7) & 1
