"""Every fault of a model host, in both protocols, at the full number of connections."""

import asyncio
from collections.abc import Callable

import pytest

from services.servicekit.chat import ChatReply
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable
from tests.model_server.answers import (
    Answer,
    cut,
    hang,
    other_json,
    rate_limited,
    rejected,
    server_error,
    truncated_body,
)
from tests.model_server.sample import sample_reply
from tests.servicekit.asking import asking, request

PASSING: dict[str, Callable[[], Answer]] = {
    "429": rate_limited,
    "429 with Retry-After": lambda: rate_limited("0.05"),
    "500": server_error,
    "502": lambda: server_error(502),
    "503 with Retry-After": lambda: server_error(503, "0.05"),
    "529": lambda: server_error(529),
    "408": lambda: rejected(408),
    "hang": hang,
    "cut stream": cut,
    "truncated JSON": truncated_body,
    "other JSON": other_json,
}
PROTOCOLS = ("openai", "anthropic")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", PASSING)
async def test_a_passing_fault_costs_one_more_request_and_nothing_else(
    fault: str, protocol: str
) -> None:
    patience = 1.0 if fault == "hang" else 10.0
    async with asking(protocol=protocol, timeout_seconds=patience) as (model, server):
        server.inject(PASSING[fault](), when="item 3\\b")
        replies = await asyncio.gather(*(model.reply(request(f"item {n}")) for n in range(20)))

    assert len({reply.message.content for reply in replies}) == 20
    assert server.num_requests == 21
    assert list(server.repeated().values()) == [2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_under_a_storm_of_faults_every_request_ends_once_with_its_own_reply(
    protocol: str,
) -> None:
    async with asking(
        protocol=protocol, max_connections=16, max_attempts=6, timeout_seconds=2.0
    ) as (model, server):
        for number, fault in enumerate(PASSING.values()):
            server.inject(fault(), fault(), when=f"item {number}\\b")
        asked = [request(f"item {n}") for n in range(120)]
        outcomes = await asyncio.gather(*(model.reply(each) for each in asked))
        again = [await model.reply(each) for each in asked[::10]]

    assert server.num_requests == 120 + 2 * len(PASSING) + 12
    assert server.answered == 120 + 12
    # The default author answers equal prompts equally: no reply went to another's question.
    assert [each.message for each in again] == [each.message for each in outcomes[::10]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_mixture_of_ends_is_told_apart(protocol: str) -> None:
    async with asking(protocol=protocol, timeout_seconds=0.3, max_attempts=2) as (model, server):
        server.inject(rejected(400), when="bad")
        server.inject(hang(), hang(), when="lost")
        outcomes = await asyncio.gather(
            *(model.reply(request(text)) for text in ("bad", "lost", "good")),
            return_exceptions=True,
        )

    assert [type(each) for each in outcomes] == [ModelRejectedRequest, ModelUnavailable, ChatReply]


async def test_the_default_author_is_the_same_in_the_next_server() -> None:
    async with asking(sample_reply) as (model, _):
        first = await model.reply(request("who are you ?"))
    async with asking(sample_reply) as (model, _):
        second = await model.reply(request("who are you ?"))

    assert first.message == second.message
