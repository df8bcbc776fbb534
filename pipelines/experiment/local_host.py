"""Hosts checkpoints in this machine's model server, over the KServe V2 repository API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import aiohttp

from pipelines.experiment.hosting import HostingFailed

ATTEMPTS = 5
LOAD_SECONDS = 120.0
OK = 200
NOT_FOUND = 404


class LocalHost:
    """A model server at ``base_url``; an asynchronous context manager.

    ``ensure_running`` is awaited before each request, so that the server is started
    when it is first needed, and again when it died.
    """

    def __init__(self, base_url: str, ensure_running: Callable[[], Awaitable[None]]) -> None:
        self._base_url = base_url
        self._ensure_running = ensure_running
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LOAD_SECONDS))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def load(self, checkpoint: str) -> None:
        """Host the checkpoint."""
        status, text = await self._post(f"{checkpoint}/load")
        if status != OK:
            raise HostingFailed(f"the model server refused checkpoint {checkpoint}: {text}")

    async def unload(self, checkpoint: str) -> None:
        """Stop hosting the checkpoint."""
        status, text = await self._post(f"{checkpoint}/unload")
        if status not in {OK, NOT_FOUND}:
            raise HostingFailed(f"the model server kept checkpoint {checkpoint}: {text}")

    async def _post(self, path: str) -> tuple[int, str]:
        assert self._session is not None, "used as a context manager"
        url = f"{self._base_url}/v2/repository/models/{path}"
        for attempt in range(1, ATTEMPTS + 1):
            await self._ensure_running()
            try:
                async with self._session.post(url) as response:
                    return response.status, await response.text()
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                if attempt == ATTEMPTS:
                    raise HostingFailed(f"the model server did not answer: {error}") from error
                await asyncio.sleep(0.2 * attempt)
        raise AssertionError("unreachable")
