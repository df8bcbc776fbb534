"""The adapter to OpenAI-compatible hosts, against a real HTTP server that misbehaves on order."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, ModelRef, Sampling, Usage
from services.servicekit.chat_endpoints import ChatEndpoint, EndpointChatModel
from services.servicekit.conversation import ENVIRONMENT, Message, Role, ToolCall, ToolDefinition
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable, ResourceNotFound

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST = ChatRequest(
    target=ModelRef(model="tiny"),
    messages=(Message(role=Role.USER, content="why ?"),),
    sampling=Sampling(temperature=0.7, max_output_tokens=32, seed=2**64 - 1),
)
COMPLETION = {
    "id": "c-1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "because"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}


async def complete(_request: web.Request) -> web.Response:
    return web.json_response(COMPLETION)


def status(code: int, text: str = "", **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(
            status=code, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


class Host:
    """Gives its answers in turn, the last one again and again, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.in_flight = self.most_in_flight = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.times.append(time.monotonic())
        self.bodies.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return await answer(request)
        finally:
            self.in_flight -= 1


@asynccontextmanager
async def model_at(
    *answers: Answer, **changes: Any
) -> AsyncIterator[tuple[EndpointChatModel, Host]]:
    host = Host(*answers)
    app = web.Application()
    app.router.add_post("/openai/v1/chat/completions", host.handle)
    async with TestServer(app) as server:
        values = {
            "max_attempts": 3,
            "timeout_seconds": 10.0,
            "max_rate_limited_seconds": 0.0,
            **changes,
        }
        endpoint = ChatEndpoint(base_url=str(server.make_url("/openai/v1")), **values)
        async with EndpointChatModel({"default": endpoint}) as model:
            yield model, host


async def test_a_reply_carries_text_reason_and_usage() -> None:
    async with model_at(complete) as (model, _):
        reply = await model.reply(REQUEST)

    assert reply == ChatReply(
        message=Message(role=Role.ASSISTANT, content="because"),
        finish_reason=FinishReason.STOP,
        usage=Usage(input_tokens=3, output_tokens=1),
    )


async def test_a_request_is_written_as_hosts_expect_it() -> None:
    schema = '{"type":"object","properties":{"to":{"type":"string"}}}'
    request = ChatRequest(
        target=ModelRef(model="tiny"),
        messages=(
            Message(role=Role.SYSTEM, content="be kind"),
            Message(role=Role.USER, content="a letter lies here", name=ENVIRONMENT),
            Message(
                role=Role.ASSISTANT,
                content="",
                tool_calls=(ToolCall(id="call-0", tool="send", arguments_json='{"to": "x"}'),),
                reasoning="never sent back",
            ),
            Message(role=Role.TOOL, content="sent", tool_call_id="call-0"),
        ),
        tools=(
            ToolDefinition(name="send", description="Sends.", parameters_json_schema=schema),
            ToolDefinition(name="wait"),
        ),
        sampling=REQUEST.sampling,
    )

    async with model_at(complete) as (model, host):
        await model.reply(request)

    call = {"id": "call-0", "type": "function"}
    wait = {"name": "wait", "parameters": {"type": "object"}}
    send = {"name": "send", "description": "Sends.", "parameters": json.loads(schema)}
    assert host.bodies == [
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "a letter lies here", "name": "environment"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {**call, "function": {"name": "send", "arguments": '{"to": "x"}'}}
                    ],
                },
                {"role": "tool", "content": "sent", "tool_call_id": "call-0"},
            ],
            "temperature": 0.7,
            "max_tokens": 32,
            "seed": 2**63 - 1,
            "tools": [
                {"type": "function", "function": send},
                {"type": "function", "function": wait},
            ],
        }
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_tool_calls_and_reasoning_come_back(field: str) -> None:
    function = {"name": "send", "arguments": "{no json"}
    message = {
        "role": "assistant",
        "content": None,
        field: "think",
        "tool_calls": [{"id": "c", "function": function}, {"function": {"name": "wait"}}],
    }
    document = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(document)

    async with model_at(answer) as (model, _):
        reply = await model.reply(REQUEST)

    assert reply.finish_reason is FinishReason.TOOL_CALLS
    assert reply.usage == Usage()
    assert reply.message == Message(
        role=Role.ASSISTANT,
        content="",
        reasoning="think",
        tool_calls=(
            ToolCall(id="c", tool="send", arguments_json="{no json"),
            ToolCall(id="call-1", tool="wait", arguments_json=""),
        ),
    )


async def test_the_key_is_sent_as_a_bearer_token(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k-1\n")

    async with model_at(complete, api_key_file=key) as (model, host):
        await model.reply(REQUEST)

    assert host.headers[0]["authorization"] == "Bearer k-1"


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
async def test_a_passing_fault_is_survived(code: int) -> None:
    async with model_at(status(code), complete) as (model, host):
        reply = await model.reply(REQUEST)

    assert reply.message.content == "because"
    assert len(host.bodies) == 2


@pytest.mark.parametrize("code", [429, 500])
async def test_a_lasting_fault_makes_the_model_unavailable(code: int) -> None:
    async with model_at(status(code, '{"error": {"message": "overloaded"}}')) as (model, host):
        with pytest.raises(ModelUnavailable) as caught:
            await model.reply(REQUEST)

    assert str(caught.value) == (
        f'model "tiny" at endpoint "default" is unavailable: HTTP {code}: overloaded (attempts: 3)'
    )
    assert len(host.bodies) == 3


async def test_retry_after_is_honoured() -> None:
    async with model_at(status(429, Retry_After="1"), complete) as (model, host):
        await model.reply(REQUEST)

    assert host.times[1] - host.times[0] >= 1.0


@pytest.mark.parametrize(
    "wish",
    [lambda: "3600", lambda: formatdate(time.time() + 3600, usegmt=True)],
    ids=["seconds", "date"],
)
async def test_a_host_that_asks_to_wait_too_long_is_not_waited_for(
    wish: Callable[[], str],
) -> None:
    async with model_at(status(429, Retry_After=wish())) as (model, host):
        with pytest.raises(ModelUnavailable, match=r"it asks to wait 3\d+"):
            await model.reply(REQUEST)

    assert len(host.bodies) == 1


async def test_a_wish_that_nobody_can_read_is_no_wish() -> None:
    async with model_at(status(503, Retry_After="soon"), complete) as (model, _):
        assert (await model.reply(REQUEST)).message.content == "because"


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 413, 422])
async def test_a_refused_request_is_not_repeated(code: int) -> None:
    async with model_at(status(code, '{"detail": "too long"}')) as (model, host):
        with pytest.raises(ModelRejectedRequest) as caught:
            await model.reply(REQUEST)

    assert caught.value.http_status == code
    assert str(caught.value).endswith(f"rejected the request (HTTP {code}): too long")
    assert len(host.bodies) == 1


async def test_a_host_that_hangs_is_given_up_in_time() -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async with model_at(hang, timeout_seconds=0.1, max_attempts=2) as (model, host):
        with pytest.raises(ModelUnavailable, match=r"no answer within 0\.1 s \(attempts: 2\)"):
            await model.reply(REQUEST)

    assert len(host.bodies) == 2


async def test_truncated_json_is_asked_for_again() -> None:
    async with model_at(status(200, '{"choices": [{"mess'), complete) as (model, host):
        assert (await model.reply(REQUEST)).message.content == "because"

    assert len(host.bodies) == 2


async def test_json_that_stays_malformed_makes_the_model_unavailable() -> None:
    async with model_at(status(200, '{"choices": []}')) as (model, _):
        with pytest.raises(ModelUnavailable, match="malformed answer: it has no choices"):
            await model.reply(REQUEST)


async def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"choi')
        assert request.transport is not None
        request.transport.close()
        return response

    async with model_at(break_off, complete) as (model, host):
        assert (await model.reply(REQUEST)).message.content == "because"

    assert len(host.bodies) == 2


async def test_a_refused_connection_makes_the_model_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    endpoint = ChatEndpoint(base_url=f"http://127.0.0.1:{port}/v1", max_attempts=2)

    async with EndpointChatModel({"default": endpoint}) as model:
        with pytest.raises(ModelUnavailable, match="Cannot connect"):
            await model.reply(REQUEST)


async def test_an_endpoint_without_a_name_in_the_settings_is_not_found() -> None:
    endpoint = ChatEndpoint(base_url="http://127.0.0.1:1/v1")
    request = ChatRequest(target=ModelRef(endpoint="other", model="m"), messages=())

    async with EndpointChatModel({"default": endpoint}) as model:
        with pytest.raises(ResourceNotFound, match='no endpoint named "other"; known: default'):
            await model.reply(request)


async def test_no_more_requests_are_on_their_way_than_allowed() -> None:
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.json_response(COMPLETION)

    async with model_at(slow, max_connections=3) as (model, host):
        await asyncio.gather(*(model.reply(REQUEST) for _ in range(12)))

    assert host.most_in_flight == 3


async def test_a_cancelled_reply_hangs_up() -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:  # the test server cancels a handler whose caller is gone
            gone.set()
        return web.Response()

    async with model_at(hang) as (model, _):
        asking = asyncio.create_task(model.reply(REQUEST))
        await begun.wait()
        asking.cancel()
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_model_that_was_not_entered_says_so() -> None:
    model = EndpointChatModel({"default": ChatEndpoint(base_url="http://127.0.0.1:1")})

    with pytest.raises(RuntimeError, match="must be entered"):
        await model.reply(REQUEST)


async def test_a_pool_that_is_being_opened_is_not_left_open() -> None:
    async with EndpointChatModel({"default": ChatEndpoint(base_url="http://127.0.0.1:1")}) as model:
        first = asyncio.create_task(model.reply(REQUEST))
        await asyncio.sleep(0)  # it has begun to open the pool

    with pytest.raises(RuntimeError, match="must be entered"):
        await first


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://host/v1", "http://host/v1?key=1"])
def test_an_address_that_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        ChatEndpoint(base_url=url)
