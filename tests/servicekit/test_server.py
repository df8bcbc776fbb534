"""The server in this process: health, reflection, metrics port, drain, TLS and mutual TLS."""

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.servicekit.channel import ChannelSettings
from services.servicekit.listening import CannotListen
from services.servicekit.server import serving
from services.servicekit.settings import InvalidSettings
from tests.servicekit.certificates import identity
from tests.servicekit.echo import SERVICE, Running, echo_server, quiet_settings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health_of(running: Running, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(running.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        return str(response.read().decode())


def readiness(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


async def test_a_ready_server_is_serving_as_a_whole_and_by_service() -> None:
    async with echo_server() as running:
        assert await health_of(running, "") == SERVING
        assert await health_of(running, SERVICE) == SERVING


async def test_probes_need_no_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("correct-horse")

    async with echo_server(token_file=token) as running:
        assert await health_of(running, "") == SERVING


async def test_reflection_lists_the_service() -> None:
    async with echo_server() as running:
        stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = [each async for each in stub.ServerReflectionInfo(iter([request]))]

    names = {service.name for service in answers[0].list_services_response.service}
    assert names == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_the_metrics_port_tells_prometheus_about_calls() -> None:
    async with echo_server() as running:
        await running.call(b"why")
        text = await asyncio.to_thread(read_metrics, running.ports.metrics_port)

    assert 'teachwhy_rpc_handled_total{grpc_code="OK",grpc_method="Echo"' in text
    assert "teachwhy_rpc_duration_seconds_bucket" in text


async def test_the_metrics_port_says_to_probes_whether_calls_are_welcome() -> None:
    async with echo_server() as running:
        assert await asyncio.to_thread(readiness, running.ports.metrics_port) == 200
        text = await asyncio.to_thread(read_metrics, running.ports.metrics_port)

    assert "\nteachwhy_rpc_ready 1.0\n" in text


async def test_a_drain_lets_calls_in_flight_finish_and_says_so_to_probes() -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    async def echo(request: bytes, _context: Any) -> bytes:
        begun.set()
        await release.wait()
        return request

    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(echo_server(echo=echo))
        # A channel of its own: leaving the stack closes the other one first.
        channel: Any = grpc.aio.insecure_channel(running.ports.address)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        call = asyncio.ensure_future(channel.unary_unary(f"/{SERVICE}/Echo")(b"why"))
        await begun.wait()

        closing = asyncio.create_task(stack.aclose())
        assert (await watch.read()).status == NOT_SERVING
        assert await asyncio.to_thread(readiness, running.ports.metrics_port) == 503
        watch.cancel()
        release.set()

        assert await call == b"why"
        await closing
        await channel.close()


async def test_a_drain_does_not_wait_for_ever() -> None:
    begun = asyncio.Event()

    async def echo(_request: bytes, _context: Any) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(echo_server(echo=echo, drain_seconds=0.1))
        channel: Any = grpc.aio.insecure_channel(running.ports.address)
        call = channel.unary_unary(f"/{SERVICE}/Echo")(b"why")
        waiting = asyncio.ensure_future(call.code())
        await begun.wait()

        await asyncio.wait_for(stack.aclose(), 5)

        assert await waiting is not grpc.StatusCode.OK
        await channel.close()


async def test_resources_are_open_while_calls_are_served_and_closed_after_the_last() -> None:
    events = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        events.append("opened")
        yield
        events.append("closed")

    async with serving(quiet_settings(), services=[], resources=[resource()]):
        events.append("served")

    assert events == ["opened", "served", "closed"]


@pytest.mark.parametrize("field", ["port", "metrics_port"])
async def test_a_taken_port_is_named_with_its_setting(field: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = quiet_settings(**{field: port})

        with pytest.raises(CannotListen, match=f"127.0.0.1:{port} .setting {field.upper()}.: the"):
            async with serving(settings, services=[]):
                pass


async def test_an_address_of_another_machine_is_named_with_its_setting() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:0 \(setting HOST\)"):
        async with serving(quiet_settings(host="192.0.2.1"), services=[]):
            pass


async def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(" \n")

    with pytest.raises(InvalidSettings, match="token is empty"):
        async with serving(quiet_settings(token_file=token), services=[]):
            pass


class TlsFiles(NamedTuple):
    server: dict[str, Any]
    mutual: dict[str, Any]
    trusting: ChannelSettings
    known: ChannelSettings
    stranger: ChannelSettings


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    authority, other = identity("authority"), identity("other authority")
    ca, _ = authority.write(tmp_path, "ca")
    certificate, key = identity("server", authority).write(tmp_path, "server")
    known, known_key = identity("caller", authority).write(tmp_path, "caller")
    stranger, stranger_key = identity("stranger", other).write(tmp_path, "stranger")
    server: dict[str, Any] = {"tls_certificate_file": certificate, "tls_key_file": key}
    return TlsFiles(
        server=server,
        mutual={**server, "tls_client_ca_file": ca},
        trusting=ChannelSettings(ca_file=ca),
        known=ChannelSettings(ca_file=ca, certificate_file=known, key_file=known_key),
        stranger=ChannelSettings(ca_file=ca, certificate_file=stranger, key_file=stranger_key),
    )


async def test_tls_protects_calls(tls: TlsFiles) -> None:
    async with echo_server(**tls.server, channel=tls.trusting, host="localhost") as running:
        assert await running.call(b"why") == b"why"


async def test_plain_text_does_not_reach_a_tls_server(tls: TlsFiles) -> None:
    async with echo_server(**tls.server) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why")

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls_lets_a_known_caller_in(tls: TlsFiles) -> None:
    async with echo_server(**tls.mutual, channel=tls.known, host="localhost") as running:
        assert await running.call(b"why") == b"why"


@pytest.mark.parametrize("caller", ["trusting", "stranger"])
async def test_mutual_tls_keeps_everybody_else_out(tls: TlsFiles, caller: str) -> None:
    channel = getattr(tls, caller)

    async with echo_server(**tls.mutual, channel=channel, host="localhost") as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why")

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_renewed_certificate_is_used_without_a_restart(
    tls: TlsFiles, tmp_path: Path
) -> None:
    renewed = identity("renewed authority")
    renewed_ca, _ = renewed.write(tmp_path, "renewed-ca")
    trusting_renewed = ChannelSettings(ca_file=renewed_ca)

    async with echo_server(**tls.server, channel=tls.trusting, host="localhost") as running:
        assert await running.call(b"before") == b"before"
        identity("server", renewed).write(tmp_path, "server")
        target = f"localhost:{running.ports.port}"
        credentials = grpc.ssl_channel_credentials(trusting_renewed.ca_file.read_bytes())  # type: ignore[union-attr]
        async with grpc.aio.secure_channel(target, credentials) as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/Echo")
            assert await call(b"after") == b"after"


async def test_tls_files_that_are_no_certificates_are_refused(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    settings = quiet_settings(tls_certificate_file=nonsense, tls_key_file=nonsense)

    with pytest.raises(InvalidSettings, match="no PEM certificate"):
        async with serving(settings, services=[]):
            pass
