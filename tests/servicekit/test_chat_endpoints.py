"""Named endpoints: which protocol, which body, what is recorded, what it costs."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from services.servicekit.chat import FinishReason, ModelRef, Usage
from services.servicekit.chat_endpoints import ChatEndpoint, EndpointChatModel, Price
from services.servicekit.chat_json import MalformedReply
from services.servicekit.chat_openai_convert import reply_from_openai
from services.servicekit.errors import ModelUnavailable, ResourceNotFound
from tests.model_server.answers import Fault, Reply, content_filtered, cut_off, refusal
from tests.model_server.asked import Asked
from tests.model_server.server import ModelServer
from tests.servicekit.asking import asking, request


async def test_each_endpoint_is_asked_in_its_own_protocol() -> None:
    def script(asked: Asked) -> str:
        return f"this is {asked.protocol}"

    with ModelServer(script) as server:
        endpoints = {"a": server.endpoint(protocol="anthropic"), "o": server.endpoint()}
        async with EndpointChatModel(endpoints) as model:
            anthropic = await model.reply(request(endpoint="a"))
            openai = await model.reply(request(endpoint="o"))

    assert anthropic.message.content == "this is anthropic"
    assert openai.message.content == "this is openai"


async def test_a_reply_records_the_revision_that_the_host_tells() -> None:
    async with asking() as (model, _):
        reply = await model.reply(request())

    assert reply.model_revision == "tiny-2026-01-01 fp-tests"


def test_a_router_tells_its_provider_in_the_revision() -> None:
    assert completion(model="m-7", provider="house").model_revision == "m-7 house"
    assert completion().model_revision == ""


async def test_extra_body_adds_and_leaves_out_fields() -> None:
    provider = {"order": ["house"], "allow_fallbacks": False}
    extra = {"provider": provider, "temperature": None, "seed": 7}

    async with asking(extra_body=extra) as (model, server):
        await model.reply(request())

    body = server.asked[0].body
    assert body["provider"] == provider
    assert body["seed"] == 7
    assert "temperature" not in body


@pytest.mark.parametrize("field", ["model", "messages", "system", "tools", "stream"])
def test_extra_body_cannot_change_what_a_record_says_was_asked(field: str) -> None:
    with pytest.raises(ValidationError, match=f"extra_body cannot change {field}"):
        ChatEndpoint(base_url="http://127.0.0.1:1", extra_body={field: None})


async def test_the_most_tokens_go_by_the_name_that_the_host_knows() -> None:
    async with asking(output_limit_field="max_completion_tokens") as (model, server):
        await model.reply(request(max_output_tokens=77))

    assert server.asked[0].body["max_completion_tokens"] == 77
    assert "max_tokens" not in server.asked[0].body


async def test_prices_come_from_the_settings_or_are_unknown() -> None:
    priced = ChatEndpoint(
        base_url="http://127.0.0.1:1",
        usd_per_million_input_tokens=3.0,
        usd_per_million_output_tokens=15.0,
    )
    model = EndpointChatModel({"priced": priced, "own": ChatEndpoint(base_url="http://h:1")})

    price = model.price(ModelRef(endpoint="priced", model="m"))

    assert price == Price(usd_per_million_input_tokens=3.0, usd_per_million_output_tokens=15.0)
    assert price.usd(Usage(input_tokens=2_000_000, output_tokens=100_000)) == pytest.approx(7.5)
    assert model.price(ModelRef(endpoint="own", model="m")) is None
    with pytest.raises(ResourceNotFound, match="known: own, priced"):
        model.price(ModelRef(endpoint="other", model="m"))


def test_half_a_price_list_is_refused() -> None:
    with pytest.raises(ValidationError, match="give both prices"):
        ChatEndpoint(base_url="http://127.0.0.1:1", usd_per_million_input_tokens=1.0)


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
async def test_a_refusal_by_the_hosts_signal_is_told_from_text(protocol: str) -> None:
    async with asking(lambda _: refusal("no way"), protocol=protocol) as (model, server):
        reply = await model.reply(request())

    assert reply.finish_reason is FinishReason.REFUSAL
    assert reply.message.content == ("no way" if protocol == "openai" else "")
    assert server.num_requests == 1


async def test_a_content_filter_is_told_from_text() -> None:
    async with asking(lambda _: content_filtered()) as (model, server):
        reply = await model.reply(request())

    assert reply.finish_reason is FinishReason.CONTENT_FILTER
    assert server.num_requests == 1


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
async def test_a_reply_at_its_token_limit_says_so(protocol: str) -> None:
    async with asking(lambda _: cut_off("and then"), protocol=protocol) as (model, _):
        reply = await model.reply(request())

    assert reply.finish_reason is FinishReason.LENGTH
    assert reply.message.content == "and then"


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
async def test_an_empty_reply_is_a_reply(protocol: str) -> None:
    async with asking(lambda _: Reply(""), protocol=protocol) as (model, server):
        reply = await model.reply(request())

    assert (reply.message.content, reply.finish_reason) == ("", FinishReason.STOP)
    assert server.num_requests == 1


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
async def test_an_error_under_status_200_is_tried_again_and_quoted(protocol: str) -> None:
    routed = Fault("body", text='{"error": {"message": "no provider is free"}}')

    async with asking(lambda _: routed, protocol=protocol) as (model, server):
        with pytest.raises(ModelUnavailable, match="no provider is free"):
            await model.reply(request())

    assert server.num_requests == 3


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "be"}, {"type": "x"}, {"type": "text", "text": "cause"}]

    reply = reply_from_openai(json.dumps(document(content=parts)).encode())

    assert reply.message.content == "because"


def test_a_part_that_is_no_object_is_malformed() -> None:
    with pytest.raises(MalformedReply, match="a part of content is no object"):
        reply_from_openai(json.dumps(document(content=["because"])).encode())


def document(content: Any = "because", **told: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {**told, "choices": [{"message": message, "finish_reason": "stop"}]}


def completion(**told: str) -> Any:
    return reply_from_openai(json.dumps(document(**told)).encode())
