"""What happens around a call, on a real server and a real channel."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import structlog
from prometheus_client import REGISTRY

from services.servicekit.channel import error_details
from services.servicekit.errors import FieldViolation, InvalidField, ResourceNotFound
from tests.servicekit.echo import ALL_KINDS, SERVICE, ask, echo_server


async def read_into(received: list[bytes], call: Any) -> None:
    async for each in call:
        received.append(each)  # noqa: PERF401 (what came before an error counts)


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
        values["handled"] = _handled(method, code)
        return {name: value or 0.0 for name, value in values.items()}

    before, added = read(), dict[str, float]()
    yield added
    added.update({name: value - before[name] for name, value in read().items()})


async def fail_once(_request: bytes, _context: Any) -> bytes:
    raise ResourceNotFound("recipe", "nope", known=("difficult-advice",))


async def fail_midway(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    yield request
    raise ResourceNotFound("recipe", "nope")


@pytest.mark.parametrize("kind", ALL_KINDS)
async def test_calls_of_every_kind_are_answered(kind: str) -> None:
    async with echo_server() as running:
        assert await ask(running, kind, b"why") == b"why"


@pytest.mark.parametrize(
    ("kind", "method", "sent"),
    [("call", "Echo", 1), ("letters", "Letters", 3), ("join", "Join", 1), ("talk", "Talk", 1)],
)
async def test_calls_of_every_kind_are_counted(kind: str, method: str, sent: int) -> None:
    with counted(method, "OK") as added:
        async with echo_server() as running:
            await ask(running, kind, b"why")

    assert added == {
        "started_total": 1,
        "handled": 1,
        "duration_seconds_count": 1,
        "in_flight": 0,
        "messages_received_total": 1,
        "messages_sent_total": sent,
    }


async def test_an_error_reaches_the_caller_with_its_reason() -> None:
    with counted("Echo", "NOT_FOUND") as added:
        async with echo_server(echo=fail_once) as running:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await running.call(b"why")

    details = error_details(caught.value)
    assert details.code == "NOT_FOUND"
    assert details.reason == "RESOURCE_NOT_FOUND"
    assert details.message == 'there is no recipe named "nope"; known: difficult-advice'
    assert details.metadata == {"resource_type": "recipe", "resource_name": "nope"}
    assert added["handled"] == 1


async def test_a_stream_may_fail_after_its_first_answers() -> None:
    received: list[bytes] = []
    async with echo_server(letters=fail_midway) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_into(received, running.letters(b"why"))

    assert received == [b"why"]
    assert error_details(caught.value).reason == "RESOURCE_NOT_FOUND"


async def test_a_stream_of_requests_may_fail() -> None:
    async def join(requests: AsyncIterator[bytes], _context: Any) -> bytes:
        async for _ in requests:
            raise InvalidField.at("items[0]", "must not be empty")
        return b""

    async with echo_server(join=join) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.join(b"one", b"two")

    assert error_details(caught.value).reason == "INVALID_FIELD"


async def test_every_violation_reaches_the_caller() -> None:
    violations = (FieldViolation("seed", "must be 0 or more"), FieldViolation("name", "is empty"))

    async def echo(_request: bytes, _context: Any) -> bytes:
        raise InvalidField(*violations)

    async with echo_server(echo=echo) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why")

    details = error_details(caught.value)
    assert details.code == "INVALID_ARGUMENT"
    assert details.violations == violations
    assert details.message == "seed: must be 0 or more; name: is empty"


async def test_five_hundred_violations_still_arrive_as_an_invalid_argument() -> None:
    async def echo(_request: bytes, _context: Any) -> bytes:
        raise InvalidField(*(FieldViolation(f"items[{n}]", "ü" * 400) for n in range(500)))

    async with echo_server(echo=echo) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why")

    assert error_details(caught.value).reason == "INVALID_FIELD"


async def test_a_fault_tells_the_caller_only_its_request_id() -> None:
    async def echo(_request: bytes, _context: Any) -> bytes:
        raise KeyError("secret of the room")

    with structlog.testing.capture_logs() as logs:
        async with echo_server(echo=echo) as running:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await running.call(b"why", metadata=(("x-request-id", "r-17"),))

    details = error_details(caught.value)
    assert details.code == "INTERNAL"
    assert details.reason == "INTERNAL_FAULT"
    assert details.metadata == {"request_id": "r-17"}
    assert "secret" not in details.message
    failed = next(each for each in logs if each["event"] == "rpc.failed")
    assert failed["exc_info"] is True


async def test_a_call_is_logged_with_method_code_and_duration() -> None:
    with structlog.testing.capture_logs() as logs:
        async with echo_server(echo=fail_once) as running:
            with pytest.raises(grpc.aio.AioRpcError):
                await running.call(b"why")

    handled = next(each for each in logs if each["event"] == "rpc.handled")
    assert handled["method"] == "test.Echo/Echo"
    assert handled["code"] == "NOT_FOUND"
    assert 0 <= handled["duration_seconds"] < 5


@pytest.mark.parametrize(
    ("sent", "is_kept"), [("run-1.step_2", True), ("two words", False), ("x" * 65, False)]
)
async def test_a_request_id_comes_back_when_it_is_safe_to_log(sent: str, is_kept: bool) -> None:  # noqa: FBT001
    async with echo_server() as running:
        call = running.call(b"why", metadata=(("x-request-id", sent),))
        await call
        returned = dict(await call.trailing_metadata())["x-request-id"]

    assert (returned == sent) is is_kept
    assert returned


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


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (metrics wake nobody)
            await asyncio.sleep(0.005)


def _handled(method: str, code: str) -> float:
    labels = {"grpc_service": SERVICE, "grpc_method": method, "grpc_code": code}
    return REGISTRY.get_sample_value("teachwhy_rpc_handled_total", labels) or 0.0


async def test_the_callers_deadline_is_counted_as_such() -> None:
    async def echo(_request: bytes, _context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    before = _handled("Echo", "DEADLINE_EXCEEDED")
    async with echo_server(echo=echo) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(b"why", timeout=0.05)
        await _until(lambda: _handled("Echo", "DEADLINE_EXCEEDED") == before + 1)

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

    before = _handled("Letters", "CANCELLED")
    async with echo_server(letters=letters) as running:
        call = running.letters(b"why")
        await call.read()
        call.cancel()
        await asyncio.wait_for(closed.wait(), 5)
        await _until(lambda: _handled("Letters", "CANCELLED") == before + 1)


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


async def test_an_unknown_method_is_unimplemented_and_leaves_no_metric() -> None:
    async with echo_server() as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.channel.unary_unary(f"/{SERVICE}/Nothing")(b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not [
        sample
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.labels.get("grpc_method") == "Nothing"
    ]


async def test_error_details_of_a_stranger_have_no_reason() -> None:
    async def echo(_request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far")
        return b""

    with counted("Echo", "OUT_OF_RANGE") as added:
        async with echo_server(echo=echo) as running:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await running.call(b"why")

    details = error_details(caught.value)
    assert (details.code, details.reason, details.message) == ("OUT_OF_RANGE", "", "too far")
    assert added["handled"] == 1


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
