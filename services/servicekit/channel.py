"""Client channels to our services: limits, keepalive, TLS, token and safe retries."""

import json
from collections.abc import Sequence
from typing import Any

import grpc
from pydantic import BaseModel, ConfigDict, Field, FilePath

from services.servicekit.credentials import read_secret
from services.servicekit.status import ErrorDetails, error_details

__all__ = ["ChannelSettings", "ErrorDetails", "error_details", "open_channel"]

_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000


class ChannelSettings(BaseModel):
    """How a caller reaches servers. Nest it in the caller's own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ca_file: FilePath | None = None
    """PEM authorities of the server; turns TLS on."""

    certificate_file: FilePath | None = None
    """PEM certificate of the caller, for mutual TLS."""

    key_file: FilePath | None = None
    """PEM private key of the caller, for mutual TLS."""

    token_file: FilePath | None = None
    """File with the bearer token."""

    max_message_bytes: int = Field(default=16 * 2**20, ge=2**12, le=2**30)
    """Largest message received or sent."""


def open_channel(
    target: str,
    settings: ChannelSettings | None = None,
    *,
    idempotent: Sequence[str] = (),
) -> grpc.aio.Channel:
    """Open a channel; use it as an async context manager.

    Args:
        target: for example "127.0.0.1:50051" or "dns:///judge:50053".
        settings: TLS, token and limits; plain text without a token by default.
        idempotent: what may be asked again when the server is UNAVAILABLE, as
            "package.Service" or "package.Service/Method". Nothing else is ever retried, and
            nothing once the server has begun to answer.

    Raises:
        InvalidSettings: the token file is empty or cannot be read.
    """
    settings = settings or ChannelSettings()
    interceptors = _token_interceptors(settings)
    options = _options(settings, idempotent)
    if settings.ca_file is None:
        return grpc.aio.insecure_channel(target, options, interceptors=interceptors)
    credentials = grpc.ssl_channel_credentials(
        settings.ca_file.read_bytes(),
        settings.key_file.read_bytes() if settings.key_file else None,
        settings.certificate_file.read_bytes() if settings.certificate_file else None,
    )
    return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)


def _options(settings: ChannelSettings, idempotent: Sequence[str]) -> list[tuple[str, str | int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.service_config", _service_config(idempotent)),
    ]


def _service_config(idempotent: Sequence[str]) -> str:
    if not idempotent:
        return "{}"
    names = []
    for path in idempotent:
        service, _, method = path.partition("/")
        names.append({"service": service, "method": method} if method else {"service": service})
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.2s",
        "maxBackoff": "3s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": retry}]})


def _token_interceptors(settings: ChannelSettings) -> list[grpc.aio.ClientInterceptor]:
    if settings.token_file is None:
        return []
    value = f"Bearer {read_secret(settings.token_file)}"
    # One object per kind of call: grpc.aio files an interceptor under the first kind it has.
    return [
        kind(value)
        for kind in (_UnaryUnaryToken, _UnaryStreamToken, _StreamUnaryToken, _StreamStreamToken)
    ]


class _Token:
    def __init__(self, value: str) -> None:
        self._value = value

    def _added(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", self._value)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnaryToken(_Token, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self._added(client_call_details), request)


class _UnaryStreamToken(_Token, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self._added(client_call_details), request)


class _StreamUnaryToken(_Token, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Any,
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Any,
    ) -> Any:
        return await continuation(self._added(client_call_details), request_iterator)


class _StreamStreamToken(_Token, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self,
        continuation: Any,
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Any,
    ) -> Any:
        return await continuation(self._added(client_call_details), request_iterator)
