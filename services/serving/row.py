"""One reply in progress. Knows neither tensors nor HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Finish = Literal["stop", "length"]


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """What was asked for, and what has been generated so far."""

    prompt_ids: Sequence[int]
    """At least one token."""

    max_new_tokens: int
    """At least 1."""

    temperature: float
    seed: int
    """Signed 64-bit integer."""

    new_ids: list[int] = field(default_factory=list)
    finish: Finish | None = None
    """Set with the last token: it ended the reply, or no more were allowed."""

    @property
    def num_cached(self) -> int:
        """Tokens whose keys and values are known; the newest token is not among them."""
        return len(self.prompt_ids) + len(self.new_ids) - 1
