"""Chat models behind OpenAI-compatible HTTP endpoints that the settings name."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, FilePath
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base

from services.servicekit.chat import ChatReply, ChatRequest, ModelRef
from services.servicekit.chat_openai_convert import (
    MalformedReply,
    error_text,
    reply_from_json,
    request_to_json,
)
from services.servicekit.credentials import read_secret
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable, ResourceNotFound

_RETRIED_STATUSES = frozenset({408, 409, 425, 429})
_OK = 200
_FIRST_SERVER_ERROR = 500
_FIRST_BACKOFF_SECONDS = 0.25
_LONGEST_BACKOFF_SECONDS = 20.0


class ChatEndpoint(BaseModel):
    """A named model host. A room nests a mapping of them in its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base_url: str = Field(pattern=r"^https?://[^\s?#]+$")
    """Address before "/chat/completions", for example "http://127.0.0.1:8080/openai/v1"."""

    api_key_file: FilePath | None = None
    """File with the key that is sent as bearer token."""

    timeout_seconds: float = Field(default=60.0, gt=0.0, le=3600.0)
    """Longest time of one attempt, its wait for a free connection included."""

    max_connections: int = Field(default=64, ge=1, le=10_000)
    """Requests on their way at once; more wait their turn."""

    max_attempts: int = Field(default=5, ge=1, le=20)
    """Attempts of one request, the first included."""

    max_retry_after_seconds: float = Field(default=60.0, ge=0.0, le=3600.0)
    """Longest Retry-After that is waited for; a host that asks for more counts as unavailable."""


class OpenAIChatModel:
    """Asks OpenAI-compatible hosts. Enter it before the first reply."""

    def __init__(self, endpoints: Mapping[str, ChatEndpoint]) -> None:
        """Know these endpoints by name."""
        self._endpoints = dict(endpoints)
        self._hosts: dict[str, _Host] = {}

    async def __aenter__(self) -> Self:
        """Open the connection pools.

        Raises:
            InvalidSettings: an API key file is empty or cannot be read.
        """
        self._hosts = {name: _Host(name, each) for name, each in self._endpoints.items()}
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the connection pools."""
        hosts, self._hosts = self._hosts, {}
        for host in hosts.values():
            await host.close()

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Return the next turn, after retries where they can help.

        Raises:
            ModelUnavailable: the host did not give a usable answer in all attempts.
            ModelRejectedRequest: the host refused the request.
            ResourceNotFound: the settings name no such endpoint.
        """
        name = request.target.endpoint
        if name not in self._endpoints:
            raise ResourceNotFound("endpoint", name, known=tuple(self._endpoints))
        if name not in self._hosts:
            raise RuntimeError("OpenAIChatModel must be entered before its first reply")
        return await self._hosts[name].reply(request)


class _AttemptFailed(Exception):
    """One attempt failed in a way that another may not."""

    def __init__(self, detail: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class _Host:
    """One endpoint: its pool, its key and its retries."""

    def __init__(self, name: str, endpoint: ChatEndpoint) -> None:
        self._name = name
        self._endpoint = endpoint
        self._url = endpoint.base_url.rstrip("/") + "/chat/completions"
        headers = {"content-type": "application/json"}
        if endpoint.api_key_file is not None:
            headers["authorization"] = f"Bearer {read_secret(endpoint.api_key_file)}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=endpoint.max_connections),
            timeout=aiohttp.ClientTimeout(total=endpoint.timeout_seconds),
            headers=headers,
        )
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(_AttemptFailed),
            stop=stop_after_attempt(endpoint.max_attempts),
            wait=_Backoff(),
            reraise=True,
        )

    async def close(self) -> None:
        await self._session.close()

    async def reply(self, request: ChatRequest) -> ChatReply:
        body = request_to_json(request)
        try:
            return await self._retrying(self._attempt, request.target, body)
        except _AttemptFailed as error:
            detail = f"{error} (attempts: {self._endpoint.max_attempts})"
            raise ModelUnavailable(self._name, request.target.model, detail) from error

    async def _attempt(self, target: ModelRef, body: bytes) -> ChatReply:
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                content = await response.read()
        except TimeoutError as error:
            limit = self._endpoint.timeout_seconds
            raise _AttemptFailed(f"no answer within {limit:g} s") from error
        except aiohttp.ClientError as error:
            raise _AttemptFailed(str(error) or type(error).__name__) from error
        if response.status == _OK:
            try:
                return reply_from_json(content)
            except MalformedReply as error:
                raise _AttemptFailed(f"malformed answer: {error}") from error
        raise self._failure(target, response, content)

    def _failure(
        self, target: ModelRef, response: aiohttp.ClientResponse, content: bytes
    ) -> Exception:
        status, detail = response.status, error_text(content)
        if status < _FIRST_SERVER_ERROR and status not in _RETRIED_STATUSES:
            return ModelRejectedRequest(self._name, target.model, status, detail)
        detail = f"HTTP {status}: {detail}"
        wait_seconds = _retry_after_seconds(response.headers.get("Retry-After", ""))
        if wait_seconds > self._endpoint.max_retry_after_seconds:
            detail += f"; it asks to wait {wait_seconds:g} s"
            return ModelUnavailable(self._name, target.model, detail)
        return _AttemptFailed(detail, retry_after_seconds=wait_seconds)


class _Backoff(wait_base):
    """Exponential with full jitter, and never sooner than the host asks."""

    def __call__(self, retry_state: RetryCallState) -> float:
        ceiling = _FIRST_BACKOFF_SECONDS * 2 ** (retry_state.attempt_number - 1)
        jittered = random.uniform(0.0, min(ceiling, _LONGEST_BACKOFF_SECONDS))  # noqa: S311
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, _AttemptFailed) else 0.0
        return asked + jittered


def _retry_after_seconds(header: str) -> float:
    """Read seconds or an HTTP date; what is neither counts as no wish."""
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
