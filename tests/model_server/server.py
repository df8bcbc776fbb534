"""The tests' own model server: OpenAI chat completions and Anthropic messages, faults on demand.

    with ModelServer() as server:                       # answers by schema, else sample text
        endpoint = server.endpoint(protocol="anthropic", max_attempts=3)
        server.inject(rate_limited("1"), hang(), when="scenario")   # the next two that match
        ...
        assert server.num_requests == 3

It listens in a thread with a loop of its own, so sync tests, async tests and other processes can
all ask it. `python -m tests.model_server` is the same as a process.
"""

import asyncio
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from aiohttp import web

from services.servicekit.chat_endpoints import ChatEndpoint
from tests.model_server.answers import Answer, Fault, Reply, Script
from tests.model_server.asked import Asked, Protocol, read_asked
from tests.model_server.sample import sample_reply
from tests.model_server.wire import completion, error_body

_JSON = "application/json"


class ModelServer:
    """Answers by its script, keeps what it was asked, and misbehaves on order."""

    def __init__(
        self, script: Script = sample_reply, *, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.script = script
        self.asked: list[Asked] = []
        """Every request, in order of arrival."""
        self.times: list[float] = []
        """When each arrived, by time.monotonic()."""
        self.counts: Counter[str] = Counter()
        """Requests by digest of the body."""
        self.answered = 0
        """Requests that got a whole 200."""
        self.in_flight = self.most_in_flight = 0
        self._host, self._port = host, port
        self._faults: deque[tuple[Callable[[Asked], bool], Answer]] = deque()
        self._changed = threading.Condition()
        self._open: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._failure: BaseException | None = None

    # What a test asks for.

    @property
    def num_requests(self) -> int:
        return len(self.asked)

    @property
    def base_url(self) -> str:
        """Both protocols' base address, as "http://127.0.0.1:<port>/v1"."""
        return f"http://{self._host}:{self._port}/v1"

    def endpoint(self, **changes: Any) -> ChatEndpoint:
        """Return settings of this server as a chat endpoint."""
        return ChatEndpoint.model_validate({"base_url": self.base_url, **changes})

    def inject(self, *answers: Answer, when: str | Callable[[Asked], bool] = "") -> None:
        """Answer the next requests with these, one each; `when` is a regex over the prompt."""
        matches = when if callable(when) else _prompt_matches(when)
        with self._changed:
            self._faults.extend((matches, each) for each in answers)

    def heal(self) -> None:
        """Forget what was injected and not yet used."""
        with self._changed:
            self._faults.clear()

    def repeated(self) -> Mapping[str, int]:
        """Return the digests that were asked more than once, with their counts."""
        return {digest: count for digest, count in self.counts.items() if count > 1}

    def wait_for(self, num_requests: int, *, timeout_seconds: float = 60.0) -> None:
        """Block until that many requests arrived; in async tests call it in a thread."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.asked) >= num_requests, timeout_seconds):
                raise TimeoutError(f"{len(self.asked)} of {num_requests} requests arrived")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep requests without an answer as long as the block runs."""
        self._loop.call_soon_threadsafe(self._open.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._open.set)

    # How it runs.

    def __enter__(self) -> Self:
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._port_is_open or self._failure is not None)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    _port_is_open = False

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    async def _serve(self) -> None:
        self._loop, self._stop, self._open = (
            asyncio.get_running_loop(),
            asyncio.Event(),
            asyncio.Event(),
        )
        self._open.set()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/v1/messages", self._anthropic)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.0, access_log=None
        )
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port, backlog=4096)
        await site.start()
        with self._changed:
            self._port = runner.addresses[0][1]
            self._port_is_open = True
            self._changed.notify_all()
        await self._stop.wait()
        await runner.cleanup()

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": self.num_requests, "distinct": len(self.counts)})

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "openai")

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "anthropic")

    async def _answer(self, request: web.Request, protocol: Protocol) -> web.StreamResponse:
        asked = self._note(await request.read(), request.headers, protocol)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._open.wait()
            answer = self._next_answer(asked)
            if isinstance(answer, Fault):
                return await self._misbehave(request, asked, answer)
            reply = Reply(answer) if isinstance(answer, str) else answer
            if reply.delay_seconds:
                await asyncio.sleep(reply.delay_seconds)
            self.answered += 1
            return web.Response(body=completion(asked, reply), content_type=_JSON)
        finally:
            self.in_flight -= 1

    def _note(self, content: bytes, headers: Mapping[str, str], protocol: Protocol) -> Asked:
        with self._changed:
            number = len(self.asked)
            asked = read_asked(content, headers, protocol, number, self.counts.__getitem__)
            self.asked.append(asked)
            self.times.append(time.monotonic())
            self.counts[asked.digest] += 1
            self._changed.notify_all()
        return asked

    def _next_answer(self, asked: Asked) -> Answer:
        with self._changed:
            for index, (matches, answer) in enumerate(self._faults):
                if matches(asked):
                    del self._faults[index]
                    return answer
        return self.script(asked)

    async def _misbehave(
        self, request: web.Request, asked: Asked, fault: Fault
    ) -> web.StreamResponse:
        if fault.kind == "hang":
            await asyncio.Event().wait()
        if fault.kind == "status":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            body = error_body(asked.protocol, fault.status, fault.text)
            return web.Response(status=fault.status, body=body, content_type=_JSON, headers=headers)
        if fault.kind == "body":
            return web.Response(text=fault.text, content_type=_JSON)
        usual = self.script(asked)
        reply = Reply(usual) if isinstance(usual, str) else usual
        reply = reply if isinstance(reply, Reply) else Reply("what it would have been")
        if fault.kind == "truncated_text":
            half = Reply(reply.text[: len(reply.text) // 2])
            return web.Response(body=completion(asked, half), content_type=_JSON)
        body = completion(asked, reply)
        if fault.kind == "truncated_body":
            return web.Response(body=body[: len(body) // 2], content_type=_JSON)
        return await _cut(request, body)


def by_prompt(table: Mapping[str, Answer | Script], otherwise: Script = sample_reply) -> Script:
    """Make a script from regexes over the prompt, the first that matches; the rest is default."""
    rules = [(_prompt_matches(pattern), answer) for pattern, answer in table.items()]

    def script(asked: Asked) -> Answer:
        for matches, answer in rules:
            if matches(asked):
                return answer(asked) if callable(answer) else answer
        return otherwise(asked)

    return script


def _prompt_matches(pattern: str) -> Callable[[Asked], bool]:
    compiled = re.compile(pattern)
    return lambda asked: compiled.search(asked.prompt) is not None


async def _cut(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    response.content_type = _JSON
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response
