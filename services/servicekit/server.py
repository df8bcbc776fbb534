"""The gRPC server process that every room runs as. Knows no room."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.servicekit.credentials import BearerToken, server_credentials
from services.servicekit.errors import ServiceError
from services.servicekit.interceptor import CallInterceptor
from services.servicekit.listening import (
    CannotListen,
    MetricsEndpoint,
    address,
    cannot_listen,
    check_free,
)
from services.servicekit.logs import configure_logging, get_logger
from services.servicekit.parent import exit_with_parent
from services.servicekit.settings import EXIT_INVALID_SETTINGS, InvalidSettings, ServerSettings

EXIT_CANNOT_START = 1

_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_SHORTEST_PING_INTERVAL_MS = 10_000
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBinding:
    """A gRPC service and how it is put on a server."""

    full_name: str
    """For example DESCRIPTOR.services_by_name["JudgeService"].full_name."""

    add: Callable[[grpc.aio.Server], None]
    """Registers the servicer, for example partial(add_JudgeServiceServicer_to_server, servicer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundPorts:
    """Where a running server listens."""

    address: str
    """Host and port of gRPC."""

    port: int
    metrics_port: int


def run(
    settings: ServerSettings,
    *,
    room: str,
    services: Sequence[ServiceBinding],
    resources: Sequence[AbstractAsyncContextManager[object]] = (),
) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code of the process.

    Args:
        settings: what the environment asks for.
        room: the name in every log line.
        services: what is served.
        resources: entered before the server is ready, left after its last call.

    Returns:
        0 after a drain, 1 when the server could not start, 2 for settings that cannot work.
    """
    configure_logging(settings.log_level, room)
    try:
        if settings.parent_pid is not None:
            exit_with_parent(settings.parent_pid)
        # What start-up made lives as long as the process, and requests make few cycles: looking for
        # them at Python's pace took 6 % of a busy room's time.
        gc.freeze()
        gc.set_threshold(10_000, 50, 50)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_until_signal(settings, services, resources))
    except InvalidSettings as error:
        sys.stderr.write(f"invalid settings:\n{error}\n")
        return EXIT_INVALID_SETTINGS
    except (CannotListen, ServiceError, OSError) as error:
        sys.stderr.write(f"{room} cannot start: {error}\n")
        return EXIT_CANNOT_START
    return 0


@asynccontextmanager
async def serving(
    settings: ServerSettings,
    *,
    services: Sequence[ServiceBinding],
    resources: Sequence[AbstractAsyncContextManager[object]] = (),
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[BoundPorts]:
    """Serve inside the block; leaving it drains the server.

    Args:
        settings: what the environment asks for.
        services: what is served.
        resources: entered before the server is ready, left after its last call.
        hurry: once set, the drain does not wait for calls any more.

    Raises:
        CannotListen: a port is taken.
        InvalidSettings: a file that the settings name cannot be used.
    """
    async with AsyncExitStack() as stack:
        token = BearerToken.from_file(settings.token_file) if settings.token_file else None
        interceptor = CallInterceptor(limit_seconds=settings.default_deadline_seconds, token=token)
        server = grpc.aio.server(
            interceptors=[interceptor],
            options=_options(settings),
            maximum_concurrent_rpcs=settings.max_concurrent_calls,
        )
        names = [binding.full_name for binding in services]
        checks = await _add_infrastructure(server, names)
        for binding in services:
            binding.add(server)
        port = _bind(server, settings)
        metrics = MetricsEndpoint(settings)
        stack.push_async_callback(asyncio.to_thread, metrics.close)
        for resource in resources:
            await stack.enter_async_context(resource)
        await server.start()
        stack.push_async_callback(_drain, server, checks, settings, hurry or asyncio.Event())
        stack.callback(setattr, metrics, "is_ready", False)
        for name in ("", *names):
            await checks.set(name, _SERVING)
        metrics.is_ready = True
        yield BoundPorts(address=address(settings.host, port), port=port, metrics_port=metrics.port)


async def _serve_until_signal(
    settings: ServerSettings,
    services: Sequence[ServiceBinding],
    resources: Sequence[AbstractAsyncContextManager[object]],
) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()  # the second signal asks for no more patience

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with serving(settings, services=services, resources=resources, hurry=hurry) as ports:
        get_logger().info(
            "server.ready",
            host=settings.host,
            port=ports.port,
            metrics_port=ports.metrics_port,
            services=[binding.full_name for binding in services],
        )
        await stop.wait()
    get_logger().info("server.stopped")


async def _add_infrastructure(
    server: grpc.aio.Server, names: Sequence[str]
) -> health.aio.HealthServicer:
    checks = health.aio.HealthServicer()
    for name in ("", *names):
        await checks.set(name, _NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return checks


def _bind(server: grpc.aio.Server, settings: ServerSettings) -> int:
    credentials = server_credentials(settings)
    check_free(settings, "port", settings.port)
    where = address(settings.host, settings.port)
    try:
        if credentials is None:
            return server.add_insecure_port(where)
        return server.add_secure_port(where, credentials)
    except RuntimeError as error:
        if credentials is not None:
            raise InvalidSettings(
                "the TLS files are no PEM certificate, matching key and authorities"
            ) from error
        raise cannot_listen(settings, "port", settings.port, OSError(0, str(error))) from error


async def _drain(
    server: grpc.aio.Server,
    checks: health.aio.HealthServicer,
    settings: ServerSettings,
    hurry: asyncio.Event,
) -> None:
    get_logger().info("server.draining", drain_seconds=settings.drain_seconds)
    await checks.enter_graceful_shutdown()
    hurried = asyncio.create_task(hurry.wait())
    # Load balancers need a moment to see "not serving"; calls are still welcome until then.
    await asyncio.wait([hurried], timeout=settings.drain_pause_seconds)
    stopping = asyncio.create_task(server.stop(settings.drain_seconds))
    await asyncio.wait([hurried, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        await server.stop(None)
    await stopping
    hurried.cancel()


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # Two servers on one port would share its calls in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _SHORTEST_PING_INTERVAL_MS),
        ("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)),
    ]
