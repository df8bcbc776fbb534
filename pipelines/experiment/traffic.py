"""The traffic port: which checkpoint answers the requests that a service gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Who answers a service's requests."""

    stable: str
    """Checkpoint that answers what the candidate does not; empty before the first one."""
    candidate: str = ""
    """Checkpoint that is being tried; empty if none is."""
    candidate_percent: int = 0
    """Share of the requests that the candidate answers, 0 to 99."""


class TrafficNotShifted(Exception):
    """Traffic could not be changed. The message says of which service, why, and what holds now."""


class TrafficRouter(Protocol):
    """Shifts the traffic of services between checkpoints."""

    async def current(self, service: str) -> Traffic | None:
        """Say who answers now; None where there is no such service yet."""

    async def shift(self, service: str, checkpoint: str, percent: int) -> Traffic:
        """Give ``checkpoint`` this share of the requests, 1 to 100, and wait until it answers.

        At 100 it becomes the stable checkpoint. A service that does not exist is made, with the
        checkpoint as its stable one whatever the share.

        Raises:
            TrafficNotShifted: the checkpoint did not become ready; traffic is as it was before.
        """

    async def roll_back(self, service: str) -> Traffic:
        """Give everything to the stable checkpoint again; without a candidate nothing changes.

        Raises:
            TrafficNotShifted: it could not be done.
        """
