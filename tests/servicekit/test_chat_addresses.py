"""Endpoints whose address depends on the model: who is asked, and who can never be."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from pydantic import ValidationError

from services.servicekit.chat import ChatReply, ChatRequest, ModelRef
from services.servicekit.chat_address import address_of, host_label
from services.servicekit.chat_endpoints import ChatEndpoint, EndpointChatModel
from services.servicekit.chat_hosts import ModelHosts
from services.servicekit.errors import InvalidField
from tests.servicekit.asking import request

LONG = "difficult-advice-with-diverse-reasons-80k-s0-0123456789ab"
NO_LABELS = [
    "",
    "A",
    "Model",
    "a.b",
    "a/b",
    "../a",
    "a@evil",
    "user:secret@evil",
    "a%2fb",
    "a?b",
    "a#b",
    "a b",
    "a\n",
    "a_b",
    "-a",
    "a-",
    "127.0.0.1:80",
    "[::1]",
    "\u0430",
    "\u00e4",
    "\u2024",
    "a" * 64,
]


class PathServer:
    """Answers any path with the path, and counts by path and by connection."""

    def __init__(self) -> None:
        self.paths: Counter[str] = Counter()
        self.connections: set[object] = set()
        self.port = 0

    async def answer(self, asked: web.Request) -> web.Response:
        self.paths[asked.path] += 1
        self.connections.add(asked.transport)
        message = {"role": "assistant", "content": asked.path}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})


@asynccontextmanager
async def path_server() -> AsyncIterator[PathServer]:
    server = PathServer()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def of(model: str) -> ChatRequest:
    return replace(request(), target=ModelRef(endpoint="default", model=model))


@asynccontextmanager
async def asking_by_path(**changes: int) -> AsyncIterator[tuple[EndpointChatModel, PathServer]]:
    async with path_server() as server:
        base_url = f"http://127.0.0.1:{server.port}/{{model}}/v1"
        endpoint = ChatEndpoint(base_url=base_url, max_attempts=1, **changes)
        async with EndpointChatModel({"default": endpoint}) as model:
            yield model, server


async def test_each_model_is_asked_at_its_own_address() -> None:
    async with asking_by_path() as (model, _):
        replies = [await model.reply(of(name)) for name in ("arm-a", "arm-b", "arm-a")]

    paths = [reply.message.content for reply in replies]
    assert paths == [f"/arm-{x}/v1/chat/completions" for x in "aba"]


async def test_a_models_connections_are_kept() -> None:
    async with asking_by_path() as (model, server):
        for _ in range(3):
            await model.reply(of("arm"))

        assert len(server.connections) == 1


@pytest.mark.parametrize("name", NO_LABELS)
async def test_a_name_that_is_no_label_is_refused_without_a_connection(name: str) -> None:
    async with asking_by_path() as (model, server):
        with pytest.raises(InvalidField, match="must be 1 to 63 lower-case"):
            await model.reply(of(name))

        assert server.connections == set()


@pytest.mark.parametrize("name", ["a", "0", "a-0", "a" * 63, "xn--a"])
def test_every_label_is_a_name(name: str) -> None:
    assert address_of("http://{model}.svc/v1", name) == f"http://{host_label(name)}.svc/v1"


def test_a_long_name_is_shortened_to_a_label_of_its_own() -> None:
    short = host_label(LONG)

    assert len(short) <= 46
    assert short.startswith("difficult-advice-with-diverse-reaso")
    assert short != host_label(LONG.replace("s0", "s1"))
    assert address_of("http://{model}-predictor/v1", LONG) == f"http://{short}-predictor/v1"


@pytest.mark.parametrize("cut", range(20, 50))
def test_a_shortened_name_is_a_label_wherever_it_is_cut(cut: int) -> None:
    name = "a" * cut + "-" * 4 + "b" * (63 - cut - 4)

    assert address_of("{model}", host_label(name)) == host_label(name)


@pytest.mark.parametrize(
    "base_url", ["http://{host}/v1", "http://{model}{x}/v1", "http://{{model}}/v1", "http://a}/v1"]
)
def test_other_braces_are_no_address(base_url: str) -> None:
    with pytest.raises(ValidationError, match="the only braces that an address may have"):
        ChatEndpoint(base_url=base_url)


async def test_limit_and_price_belong_to_the_endpoint() -> None:
    async with asking_by_path(
        max_connections=7, usd_per_million_input_tokens=1, usd_per_million_output_tokens=2
    ) as (model, _):
        before = model.limit("default")
        await model.reply(of("arm"))

        assert (before, model.limit("default")) == (7, 7)
        prices = {model.price(ModelRef(model=name)) for name in ("arm", "other")}
        assert len(prices) == 1
        assert None not in prices


class SlowHost:
    """Answers when it is told to."""

    limit = 5

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_closed = False
        self.may_answer = asyncio.Event()

    async def reply(self, _request: ChatRequest) -> ChatReply:
        await self.may_answer.wait()
        assert not self.is_closed
        return None  # type: ignore[return-value]

    async def close(self) -> None:
        self.is_closed = True


class Desk:
    """Two hosts may stay open."""

    def __init__(self) -> None:
        self.hosts: dict[str, SlowHost] = {}
        self.opened = 0
        self.pool = ModelHosts("{model}", self._open, most=2)  # type: ignore[arg-type]

    def _open(self, address: str) -> SlowHost:
        self.opened += 1
        self.hosts[address] = SlowHost(address)
        return self.hosts[address]

    async def ask(self, name: str) -> None:
        asked = asyncio.ensure_future(self.pool.reply(of(name)))
        await asyncio.sleep(0)
        self.hosts[name].may_answer.set()
        await asked

    @property
    def closed(self) -> set[str]:
        return {name for name, host in self.hosts.items() if host.is_closed}


async def test_the_least_recently_asked_are_closed_beyond_the_bound() -> None:
    desk = Desk()

    for name in ("a", "b", "a", "c"):
        await desk.ask(name)

    assert desk.closed == {"b"}
    assert desk.pool.limit == 5


async def test_a_host_that_is_being_asked_is_not_closed() -> None:
    desk = Desk()
    asking = [asyncio.ensure_future(desk.pool.reply(of(name))) for name in ("a", "b")]
    await asyncio.sleep(0)

    await desk.ask("c")
    assert desk.closed == set()
    for host in desk.hosts.values():
        host.may_answer.set()
    await asyncio.gather(*asking)
    await desk.ask("d")

    assert desk.closed == {"a", "b"}


async def test_a_closed_model_is_asked_again_over_a_new_pool() -> None:
    desk = Desk()

    for name in ("a", "b", "c", "a"):
        await desk.ask(name)

    assert desk.opened == 4
    assert not desk.hosts["a"].is_closed


async def test_a_refused_name_leaves_nothing_behind() -> None:
    desk = Desk()

    with pytest.raises(InvalidField):
        await desk.pool.reply(of("a.b"))

    assert desk.opened == 0
    await desk.pool.close()
