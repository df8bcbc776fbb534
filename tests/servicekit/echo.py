"""A real server with one service of four methods, answered by what the test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from prometheus_client import REGISTRY

from services.servicekit.channel import ChannelSettings, open_channel
from services.servicekit.server import BoundPorts, ServiceBinding, serving
from services.servicekit.settings import ServerSettings

SERVICE = "test.Echo"
ALL_KINDS = ("call", "letters", "join", "talk")


async def _echo(request: bytes, _context: Any) -> bytes:
    return request


async def _letters(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    for number in request:
        yield bytes([number])


async def _join(requests: AsyncIterator[bytes], _context: Any) -> bytes:
    return b"".join([each async for each in requests])


async def _talk(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for each in requests:
        yield each


@dataclass
class Running:
    """A server under test and a way to call it."""

    ports: BoundPorts
    channel: Any  # bytes go in and out, which the stubs of grpc cannot say

    def call(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_unary(f"/{SERVICE}/Echo")(request, **options)

    def letters(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/Letters")(request, **options)

    def join(self, *requests: bytes, **options: Any) -> Any:
        return self.channel.stream_unary(f"/{SERVICE}/Join")(iter(requests), **options)

    def talk(self, *requests: bytes, **options: Any) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/Talk")(iter(requests), **options)


def quiet_settings(**changes: Any) -> ServerSettings:
    return ServerSettings(**{"drain_pause_seconds": 0.0, "drain_seconds": 5.0, **changes})


@asynccontextmanager
async def echo_server(
    *,
    echo: Callable[[bytes, Any], Awaitable[bytes]] = _echo,
    letters: Callable[[bytes, Any], AsyncIterator[bytes]] = _letters,
    join: Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]] = _join,
    channel: ChannelSettings | None = None,
    host: str = "",
    idempotent: tuple[str, ...] = (),
    **changes: Any,
) -> AsyncIterator[Running]:
    handler = grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Echo": grpc.unary_unary_rpc_method_handler(echo),
            "Letters": grpc.unary_stream_rpc_method_handler(letters),
            "Join": grpc.stream_unary_rpc_method_handler(join),
            "Talk": grpc.stream_stream_rpc_method_handler(_talk),
        },
    )
    binding = ServiceBinding(
        full_name=SERVICE, add=lambda server: server.add_generic_rpc_handlers((handler,))
    )
    async with serving(quiet_settings(**changes), services=[binding]) as ports:
        target = f"{host}:{ports.port}" if host else ports.address
        async with open_channel(target, channel, idempotent=idempotent) as client:
            yield Running(ports=ports, channel=client)


async def ask(running: Running, kind: str, request: bytes, **options: Any) -> bytes:
    call = getattr(running, kind)(request, **options)
    if kind in {"call", "join"}:
        return bytes(await call)
    return b"".join([each async for each in call])


@contextmanager
def counted(method: str, code: str) -> Iterator[dict[str, float]]:
    """Give, after the block, what its calls added to the metrics."""
    labels = {"grpc_service": SERVICE, "grpc_method": method}
    names = (
        *("started_total", "duration_seconds_count", "in_flight"),
        *("messages_received_total", "messages_sent_total"),
    )

    def read() -> dict[str, float]:
        values = {name: REGISTRY.get_sample_value(f"teachwhy_rpc_{name}", labels) for name in names}
        values["handled"] = handled_calls(method, code)
        return {name: value or 0.0 for name, value in values.items()}

    before, added = read(), dict[str, float]()
    yield added
    added.update({name: value - before[name] for name, value in read().items()})


def handled_calls(method: str, code: str) -> float:
    labels = {"grpc_service": SERVICE, "grpc_method": method, "grpc_code": code}
    return REGISTRY.get_sample_value("teachwhy_rpc_handled_total", labels) or 0.0
