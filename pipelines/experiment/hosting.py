"""The serving port: how checkpoints get hosted so that the rollout room reaches them."""

from __future__ import annotations

from typing import Protocol


class HostingFailed(Exception):
    """A checkpoint could not be hosted. The message says which, and what the host said."""


class ModelHost(Protocol):
    """Hosts checkpoints by name."""

    async def load(self, checkpoint: str) -> None:
        """Host the checkpoint; loading one that is hosted is no fault.

        Raises:
            HostingFailed: the host refused or did not answer.
        """

    async def unload(self, checkpoint: str) -> None:
        """Stop hosting the checkpoint; one that is not hosted is no fault."""
