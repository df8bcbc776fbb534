"""The OpenAI-compatible routes. Knows the host and the computing thread, and no model.

kserve has such routes, too, but cannot import them without vLLM.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from services.servicekit.errors import ModelUnavailable, ResourceNotFound
from services.servicekit.logs import get_logger
from services.serving import metrics, wire
from services.serving.batching import BatchingThread, GenerationFailed, QueueFull, Ticket, Update
from services.serving.hosting import CheckpointHost, HostedModel
from services.serving.rendering import ChatTemplateRefused, TextStream
from services.serving.row import Row

_DEFAULT_TEMPERATURE = 1.0
_CLIENT_CLOSED_REQUEST = 499
_RETRY_AFTER_SECONDS = 1


class BodyTooLarge(ValueError):
    """The request body exceeds the limit."""


class _Answer(NamedTuple):
    """How a failure is told."""

    status: int
    kind: str
    param: str | None = None
    code: str | None = None


_FAULT = _Answer(500, "server_error")
_ANSWERS: dict[type[Exception], _Answer] = {
    wire.InvalidRequest: _Answer(400, "invalid_request_error"),
    ChatTemplateRefused: _Answer(400, "invalid_request_error", "messages"),
    ResourceNotFound: _Answer(404, "invalid_request_error", "model", "model_not_found"),
    BodyTooLarge: _Answer(413, "invalid_request_error", None, "request_too_large"),
    ModelUnavailable: _Answer(503, "server_error", "model", "model_loading"),
    QueueFull: _Answer(503, "server_error", None, "overloaded"),
    GenerationFailed: _FAULT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chat:
    """A request on its way."""

    request: wire.ChatCompletionRequest
    model: HostedModel
    ticket: Ticket
    id: str
    created: int

    def body(self, kind: str, choices: list[wire.JsonObject]) -> wire.JsonObject:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "choices": choices,
        }

    def usage(self) -> wire.JsonObject:
        row = self.ticket.row
        return wire.usage(len(row.prompt_ids), len(row.new_ids))


class OpenAIRouter:
    """Answers chat requests from the loaded checkpoints."""

    def __init__(
        self, host: CheckpointHost, batching: BatchingThread, *, max_request_bytes: int
    ) -> None:
        """Use the host's models and let the thread compute."""
        self._host = host
        self._batching = batching
        self._max_request_bytes = max_request_bytes

    def add_routes(self, app: Starlette) -> None:
        """Put the routes on an application."""
        app.add_route("/openai/v1/models", self._list_models, methods=["GET"])
        app.add_route("/openai/v1/models/{name}", self._get_model, methods=["GET"])
        app.add_route("/openai/v1/chat/completions", self._chat, methods=["POST"])

    async def _list_models(self, _request: Request) -> Response:
        data = [_describe(name, self._host.model(name)) for name in self._host.names]
        return _json({"object": "list", "data": data})

    async def _get_model(self, request: Request) -> Response:
        try:
            name = request.path_params["name"]
            return _json(_describe(name, self._host.model(name)))
        except (ResourceNotFound, ModelUnavailable) as error:
            return _refuse(error)

    async def _chat(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            chat = self._enter(wire.parse_request(await self._read_body(request)))
            if chat.request.stream:
                return StreamingResponse(
                    _stream(chat, started),
                    media_type="text/event-stream",
                    headers={"cache-control": "no-cache"},
                )
            response = await _reply(chat, request)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_CLOSED_REQUEST)
        except tuple(_ANSWERS) as error:
            response = _refuse(error)
        except Exception as error:  # noqa: BLE001 (the client gets the shape it knows, the log the rest)
            get_logger().error("request.failed", exc_info=error)
            response = _refuse(GenerationFailed("the server failed; its log has the details"))
        _count(response.status_code, started)
        return response

    async def _read_body(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_request_bytes:
                raise BodyTooLarge(
                    f"the body is larger than {self._max_request_bytes} bytes "
                    "(setting SERVING_MAX_REQUEST_BYTES)"
                )
        return bytes(body)

    def _enter(self, request: wire.ChatCompletionRequest) -> _Chat:
        model = self._host.model(request.model)
        prompt_ids = model.renderer.prompt_ids(request.template_messages, request.template_tools)
        room = model.context_tokens - len(prompt_ids)
        if not prompt_ids or room < 1:
            raise wire.InvalidRequest(
                f"messages: the prompt has {len(prompt_ids)} tokens; allowed are 1 to "
                f"{model.context_tokens - 1}, which leaves one for the reply",
                param="messages",
                code="context_length_exceeded",
            )
        temperature = request.temperature
        row = Row(
            prompt_ids=prompt_ids,
            max_new_tokens=min(request.max_new_tokens or room, room),
            temperature=_DEFAULT_TEMPERATURE if temperature is None else temperature,
            seed=secrets.randbits(63) if request.seed is None else request.seed,
        )
        ticket = Ticket(row, each_token=bool(request.stream))
        self._batching.submit(model.lane, ticket)
        return _Chat(
            request=request,
            model=model,
            ticket=ticket,
            id=f"chatcmpl-{secrets.token_hex(12)}",
            created=int(time.time()),
        )


async def _reply(chat: _Chat, request: Request) -> Response:
    reply = asyncio.ensure_future(_last(chat.ticket.updates()))
    # After the body, the only message that a server sends to an application is a disconnect.
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({reply, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            raise ClientDisconnect
        await reply
    finally:
        gone.cancel()
        reply.cancel()
        chat.ticket.cancel()
    row = chat.ticket.row
    message = {"role": "assistant", "content": chat.model.renderer.text(row.new_ids)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": row.finish}
    return _json({**chat.body("chat.completion", [choice]), "usage": chat.usage()})


async def _last(updates: AsyncIterator[Update]) -> None:
    async for _update in updates:
        pass


async def _stream(chat: _Chat, started: float) -> AsyncIterator[bytes]:
    code = _CLIENT_CLOSED_REQUEST
    text = TextStream(chat.model.renderer)
    try:
        yield _chunk(chat, {"role": "assistant", "content": ""})
        async for update in chat.ticket.updates():
            piece = text.add(update.new_ids, is_last=update.finish is not None)
            if piece:
                yield _chunk(chat, {"content": piece})
        yield _chunk(chat, {}, finish=chat.ticket.row.finish)
        if chat.request.stream_options and chat.request.stream_options.include_usage:
            yield wire.event({**chat.body("chat.completion.chunk", []), "usage": chat.usage()})
        code = 200
    except GenerationFailed as error:
        code = _FAULT.status
        yield b"data: " + _error_body(error, _FAULT) + b"\n\n"
    finally:
        chat.ticket.cancel()
        _count(code, started)
    yield b"data: [DONE]\n\n"


def _chunk(chat: _Chat, delta: wire.JsonObject, finish: str | None = None) -> bytes:
    choice: wire.JsonObject = {"index": 0, "delta": delta, "finish_reason": finish}
    return wire.event(chat.body("chat.completion.chunk", [choice]))


def _describe(name: str, model: HostedModel) -> wire.JsonObject:
    return {
        "id": name,
        "object": "model",
        "created": model.loaded_at,
        "owned_by": "teachwhy",
        "max_model_len": model.context_tokens,
    }


def _refuse(error: Exception) -> Response:
    answer = _ANSWERS.get(type(error), _FAULT)
    headers = {"retry-after": str(_RETRY_AFTER_SECONDS)} if answer.status == 503 else None  # noqa: PLR2004
    return Response(
        _error_body(error, answer), answer.status, headers=headers, media_type="application/json"
    )


def _error_body(error: Exception, answer: _Answer) -> bytes:
    param = getattr(error, "param", None) or answer.param
    code = getattr(error, "code", None) if isinstance(error, wire.InvalidRequest) else answer.code
    return wire.error_body(str(error), kind=answer.kind, param=param, code=code)


def _json(body: wire.JsonObject) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _count(code: int, started: float) -> None:
    metrics.REQUESTS.labels(str(code)).inc()
    metrics.REQUEST_DURATION.observe(time.perf_counter() - started)
