"""Real processes of the gRPC rooms, and a small model host for them to ask."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
from aiohttp import web

from services.servicekit.chat import ChatRequest, ModelRef
from services.servicekit.conversation import Message, Role
from tests.rollout.acting import cautious, harmful

ROOT = Path(__file__).parents[2]
AGENTS = {"harmful": harmful, "cautious": cautious}


@dataclass(frozen=True, slots=True)
class RoomProcess:
    """A room that is ready."""

    address: str
    metrics_port: int
    pid: int
    ready_seconds: float

    @property
    def rss_mib(self) -> float:
        """Memory of the process, now."""
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    async def metrics(self) -> str:
        """What it tells Prometheus, now."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()


@asynccontextmanager
async def room_process(room: str, **settings: str) -> AsyncIterator[RoomProcess]:
    """Start a room on free ports; leaving the block drains it and checks its exit code."""
    prefix = room.upper()
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        f"{prefix}_PORT": "0",
        f"{prefix}_METRICS_PORT": "0",
        f"{prefix}_DRAIN_PAUSE_SECONDS": "0",
        f"{prefix}_PARENT_PID": str(os.getpid()),
        **{f"{prefix}_{name.upper()}": value for name, value in settings.items()},
    }
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{room}",
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, f"{room} ended with code {await process.wait()}; it said why on standard error"
    event = json.loads(line)
    reading = asyncio.create_task(process.stdout.read())
    try:
        yield RoomProcess(
            address=f"127.0.0.1:{event['port']}",
            metrics_port=event["metrics_port"],
            pid=process.pid,
            ready_seconds=time.monotonic() - started,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        code = await process.wait()
        await reading
    assert code == 0


class ModelHost:
    """Speaks /chat/completions. A model's name says its character: "harmful" or "cautious"."""

    def __init__(self) -> None:
        self.asked = 0
        self.hung_up = 0
        self.fails_after: int | None = None
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request as the OpenAI-compatible API does."""
        body = await request.json()
        self.asked += 1
        try:
            await self.is_open.wait()
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        if self.fails_after is not None and self.asked > self.fails_after:
            return web.json_response({"error": {"message": "overloaded"}}, status=503)
        if body["model"] == "picky":
            return web.json_response({"error": {"message": "context too long"}}, status=400)
        if body["model"] not in AGENTS:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        reply = AGENTS[body["model"]](_request(body["messages"]))
        message = {"role": "assistant", "content": reply.message.content}
        usage = {"prompt_tokens": 20, "completion_tokens": reply.usage.output_tokens}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": usage})


def _request(messages: list[dict[str, str]]) -> ChatRequest:
    return ChatRequest(
        target=ModelRef(model="any"),
        messages=tuple(
            Message(role=Role(each["role"]), content=each["content"]) for each in messages
        ),
    )


@asynccontextmanager
async def model_host() -> AsyncIterator[ModelHost]:
    """Serve a model host on a free port."""
    host = ModelHost()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", host.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    host.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield host
    finally:
        host.is_open.set()
        await runner.cleanup()


def endpoints(host: ModelHost) -> str:
    """The value of ROLLOUT_ENDPOINTS for this host, with few attempts."""
    return json.dumps({"default": {"base_url": host.base_url, "max_attempts": 1}})


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for something another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.01)
