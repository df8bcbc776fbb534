"""What a call answers, counts and logs, on a real server and a real channel."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog
from prometheus_client import REGISTRY

from services.servicekit.channel import error_details
from services.servicekit.errors import FieldViolation, InvalidField, ResourceNotFound
from tests.servicekit.echo import ALL_KINDS, SERVICE, ask, counted, echo_server


async def read_into(received: list[bytes], call: Any) -> None:
    async for each in call:
        received.append(each)  # noqa: PERF401 (what came before an error counts)


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
