"""Requests to an API server: in threads, with patience. Knows no kind of object."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubernetes import client as kubernetes
from kubernetes.client.exceptions import ApiException

from pipelines.cluster.patience import patiently, refusal

_AT_ONCE = 8
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_SILENCE_SECONDS = 60.0
"""Longest silence of a stream; then it is opened again, since nobody may be there any more."""


class Connection:
    """Asks one API server."""

    def __init__(self, configuration: kubernetes.Configuration, *, outage_seconds: float) -> None:
        """Ask for ``outage_seconds`` while the server throttles or is away."""
        self._client = kubernetes.ApiClient(configuration)
        self._server = str(configuration.host)
        self._outage_seconds = outage_seconds
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="kubernetes")

    def close(self) -> None:
        """Ask nothing more."""
        # A request that nobody waits for any more ends by its own time limit.
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    async def ask(self, method: str, path: str, *, what: str, **rest: Any) -> Any:
        """Make a request and return the body of its answer.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: with a leading slash.
            what: the request in words, for messages. Example: "get PyTorchJob lab/x".
            rest: as ``ask_openly`` takes it.

        Raises:
            ClusterRefused: the server refuses, or there is no such object.
            ClusterUnreachable: it was busy or away for too long.
        """
        try:
            return await self.ask_openly(method, path, what=what, **rest)
        except ApiException as error:
            raise refusal(error, what) from error

    async def ask_openly(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        is_text: bool = False,
        is_stream: bool = False,
        outage_seconds: float | None = None,
    ) -> Any:
        """Make a request whose caller knows what a missing or other object means.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: with a leading slash.
            what: the request in words, for messages.
            query: parameters.
            body: what is sent, as JSON.
            is_text: return text instead of what JSON says.
            is_stream: return the open response.
            outage_seconds: how long to ask, if not as long as usual.

        Raises:
            ApiException: 404, there is no such object, or 409, it is another one.
            ClusterRefused: the server refuses.
            ClusterUnreachable: it was busy or away for too long.
        """
        loop = asyncio.get_running_loop()

        def call() -> Any:
            return self._client.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "*/*" if is_text or is_stream else "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                response_type="str" if is_text else "object",
                _return_http_data_only=True,
                _preload_content=not is_stream,
                _request_timeout=(
                    _CONNECT_SECONDS,
                    _SILENCE_SECONDS if is_stream else _READ_SECONDS,
                ),
            )

        limit = self._outage_seconds if outage_seconds is None else outage_seconds
        return await patiently(
            lambda: loop.run_in_executor(self._threads, call),
            what=what,
            server=self._server,
            outage_seconds=limit,
        )
