"""What ends a call early: deadlines, cancelling, sizes, numbers and retries."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.servicekit.channel import error_details
from tests.servicekit.echo import SERVICE, ask, counted, echo_server, handled_calls


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (metrics wake nobody)
            await asyncio.sleep(0.005)


async def test_the_servers_limit_ends_a_call_whose_caller_set_none() -> None:
    ended = asyncio.Event()

    async def echo(_request: bytes, _context: Any) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    with counted("Echo", "DEADLINE_EXCEEDED") as added:
        async with echo_server(echo=echo, default_deadline_seconds=0.05) as running:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await running.call(b"why")

    details = error_details(caught.value)
    assert details.code == "DEADLINE_EXCEEDED"
    assert details.reason == "DEADLINE"
    assert details.metadata == {"limit_seconds": "0.05"}
    assert ended.is_set()
    assert added["handled"] == 1


async def test_the_limit_is_not_for_streams() -> None:
    async def letters(request: bytes, _context: Any) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.2)
        yield request

    async with echo_server(letters=letters, default_deadline_seconds=0.05) as running:
        assert await ask(running, "letters", b"why") == b"why"


async def test_a_timeout_inside_a_handler_is_its_own_fault() -> None:
    async def echo(_request: bytes, _context: Any) -> bytes:
        raise TimeoutError

    async with echo_server(echo=echo) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why")

    assert error_details(caught.value).reason == "INTERNAL_FAULT"


async def test_a_task_that_was_cancelled_below_a_call_does_not_leave_the_caller_waiting() -> None:
    async def echo(_request: bytes, _context: Any) -> bytes:
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task
        return b""

    async with echo_server(echo=echo) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why", timeout=10)

    assert error_details(caught.value).reason == "INTERNAL_FAULT"


async def test_the_callers_deadline_is_counted_as_such() -> None:
    async def echo(_request: bytes, _context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    before = handled_calls("Echo", "DEADLINE_EXCEEDED")
    async with echo_server(echo=echo) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why", timeout=0.05)
        await _until(lambda: handled_calls("Echo", "DEADLINE_EXCEEDED") == before + 1)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_stream_stops_spending_at_once() -> None:
    closed = asyncio.Event()

    async def letters(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    before = handled_calls("Letters", "CANCELLED")
    async with echo_server(letters=letters) as running:
        call = running.letters(b"why")
        await call.read()
        call.cancel()
        await asyncio.wait_for(closed.wait(), 5)
        await _until(lambda: handled_calls("Letters", "CANCELLED") == before + 1)


async def test_a_stream_whose_caller_stopped_reading_is_closed_when_it_cancels() -> None:
    closed = asyncio.Event()

    async def letters(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65_536  # flow control keeps the server in a write
        finally:
            closed.set()

    async with echo_server(letters=letters) as running:
        call = running.letters(b"why")
        await call.read()
        call.cancel()
        await asyncio.wait_for(closed.wait(), 5)
    gc.collect()


async def test_a_message_above_the_limit_is_refused_by_name() -> None:
    async with echo_server(max_message_bytes=4096) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"x" * 5000)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(("idempotent", "attempts"), [((), 1), ((f"{SERVICE}/Echo",), 3)])
async def test_only_what_is_declared_idempotent_is_asked_again(
    idempotent: tuple[str, ...], attempts: int
) -> None:
    seen = []

    async def echo(request: bytes, context: Any) -> bytes:
        seen.append(request)
        if len(seen) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        return request

    async with echo_server(echo=echo, idempotent=idempotent) as running:
        if idempotent:
            assert await running.call(b"why") == b"why"
        else:
            with pytest.raises(grpc.aio.AioRpcError):
                await running.call(b"why")

    assert len(seen) == attempts


async def test_calls_beyond_the_number_that_is_served_at_once_are_refused_at_once() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def echo(request: bytes, _context: Any) -> bytes:
        begun.set()
        await release.wait()
        return request

    async with echo_server(echo=echo, max_concurrent_calls=1) as running:
        first = running.call(b"first")
        waiting = asyncio.ensure_future(first.code())
        await begun.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"second")
        release.set()

        assert await waiting is grpc.StatusCode.OK
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
