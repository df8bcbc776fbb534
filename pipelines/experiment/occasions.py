"""Occasions: names of the times at which models are measured anew.

A hosted model may change behind its name, so that the same question has another answer tomorrow;
and a promotion wants evaluations of its own for each step. Both are measured anew at an occasion,
other checkpoints are not. What is measured at an occasion is kept under it, and asked with seeds of
its own: a run that is repeated at the same occasion plays nothing twice, and the next one plays
everything.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

TODAY = "today"
"""Stands for the date, in UTC."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class OccasionNotUsable(Exception):
    """An occasion has no usable name. The message says what is allowed."""


def resolved(occasion: str) -> str:
    """Return the occasion that is meant: "today" is the date, nothing is none.

    Raises:
        OccasionNotUsable: it is no name.
    """
    if occasion == TODAY:
        return datetime.now(UTC).date().isoformat()
    if occasion and not _NAME.fullmatch(occasion):
        raise OccasionNotUsable(
            f"--occasion: {occasion!r} is no name: up to 63 letters, digits, '.', '_' and '-', for "
            f"example a date, or {TODAY!r}"
        )
    return occasion
