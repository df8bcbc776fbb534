"""A running server, asked with the official client."""

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import openai
import psutil
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from services.servicekit.chat import ChatRequest, ModelRef, Sampling
from services.servicekit.chat_endpoints import ChatEndpoint, EndpointChatModel
from services.servicekit.conversation import Message, Role
from tests.serving.serving_process import ServingProcess, wait_until

HELLO: list[Any] = [{"role": "user", "content": "w1 w2 w3"}]


def test_the_loaded_models_are_listed(client: openai.OpenAI) -> None:
    assert "tiny" in [model.id for model in client.models.list()]
    assert client.models.retrieve("tiny").owned_by == "teachwhy"


def test_a_chat_is_answered_with_text_and_usage(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="tiny", messages=HELLO, temperature=0.7, seed=1, max_tokens=12
    )

    assert reply.choices[0].finish_reason == "length"
    assert len((reply.choices[0].message.content or "").split(" ")) == 12
    assert reply.usage is not None
    # <user> w1 w2 w3 <think>
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 12)


def test_a_streamed_chat_brings_the_same_text_piece_by_piece(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": HELLO,
        "temperature": 0.7,
        "seed": 1,
        "max_completion_tokens": 12,
    }
    whole = client.chat.completions.create(**asked)

    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in pieces) == whole.choices[0].message.content
    assert sum(bool(piece) for piece in pieces) == 12
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage == whole.usage


def test_a_reply_that_ends_by_itself_says_stop_and_hides_the_end(client: openai.OpenAI) -> None:
    def choice(seed: int) -> Choice:
        reply = client.chat.completions.create(
            model="tiny", messages=HELLO, seed=seed, max_tokens=120
        )
        return reply.choices[0]

    with ThreadPoolExecutor(max_workers=40) as threads:
        choices = list(threads.map(choice, range(40)))

    assert {each.finish_reason for each in choices} == {"stop", "length"}
    assert not [each for each in choices if "<end>" in (each.message.content or "")]


def test_names_and_tools_reach_the_chat_template(client: openai.OpenAI) -> None:
    def prompt_tokens(messages: list[Any], **options: Any) -> int:
        reply: ChatCompletion = client.chat.completions.create(
            model="tiny", messages=messages, max_tokens=4, seed=5, **options
        )
        assert reply.usage is not None
        return reply.usage.prompt_tokens

    def text(messages: list[Any]) -> str | None:
        reply = client.chat.completions.create(
            model="tiny", messages=messages, max_tokens=20, temperature=1.5, seed=5
        )
        return reply.choices[0].message.content

    tools: list[Any] = [{"type": "function", "function": {"name": f"w{n}"}} for n in range(3)]

    # <tools> w0 , w1 , w2
    assert prompt_tokens(HELLO, tools=tools) == prompt_tokens(HELLO) + 6
    assert prompt_tokens(HELLO, tools=tools, tool_choice="none") == prompt_tokens(HELLO)
    assert text([{**HELLO[0], "name": "environment"}]) != text(HELLO)


def test_the_longest_reply_is_what_the_context_leaves(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="tiny", messages=HELLO, temperature=0, max_tokens=100_000
    )

    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 160


def test_a_prompt_that_fills_the_context_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="160 tokens; allowed are 1 to 159") as refusal:
        client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "w " * 158}]
        )

    assert refusal.value.code == "context_length_exceeded"
    assert refusal.value.param == "messages"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match='no loaded model named "nobody"') as refusal:
        client.chat.completions.create(model="nobody", messages=HELLO)

    assert refusal.value.code == "model_not_found"
    assert refusal.value.param == "model"


def test_a_wrong_value_is_refused_with_the_name_of_its_field(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model="tiny", messages=HELLO, temperature=3)

    assert refusal.value.param == "temperature"


def test_what_the_chat_template_refuses_is_the_callers_mistake(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no such role: developer") as refusal:
        client.chat.completions.create(
            model="tiny", messages=[{"role": "developer", "content": "x"}]
        )

    assert refusal.value.param == "messages"


def test_a_body_beyond_the_limit_is_refused(server: ServingProcess) -> None:
    status, body = server.post("/openai/v1/chat/completions", b" " * (2**20 + 1))

    assert status == 413
    assert body["error"]["code"] == "request_too_large"


async def test_our_own_chat_adapter_is_answered(server: ServingProcess) -> None:
    endpoint = ChatEndpoint(base_url=f"{server.url}/openai/v1")
    async with EndpointChatModel({"default": endpoint}) as model:
        reply = await model.reply(
            ChatRequest(
                target=ModelRef(model="tiny"),
                messages=(Message(role=Role.USER, content="w1", name="environment"),),
                sampling=Sampling(temperature=0.7, max_output_tokens=5, seed=2**63 - 1),
            )
        )

    assert reply.usage.output_tokens == 5


async def test_two_hundred_replies_are_the_same_one_by_one_at_once_and_shuffled(
    server: ServingProcess,
) -> None:
    numbers = random.Random(3)
    bodies = [
        {
            "model": "tiny",
            "messages": [
                {
                    "role": "user",
                    "content": " ".join(
                        f"w{numbers.randrange(641)}" for _ in range(numbers.randint(5, 60))
                    ),
                }
            ],
            "temperature": numbers.choice([0.0, 0.7, 1.0]),
            "seed": number,
            "max_tokens": numbers.randint(4, 24),
        }
        for number in range(200)
    ]
    async with aiohttp.ClientSession() as session:

        async def text(number: int) -> str:
            url = f"{server.url}/openai/v1/chat/completions"
            async with session.post(url, json=bodies[number]) as response:
                assert response.status == 200
                reply = await response.json()
                return str(reply["choices"][0]["message"]["content"])

        one_by_one = [await text(number) for number in range(200)]
        at_once = await asyncio.gather(*map(text, range(200)))
        order = numbers.sample(range(200), 200)
        shuffled = dict(zip(order, await asyncio.gather(*map(text, order)), strict=True))

    assert list(at_once) == one_by_one
    assert [shuffled[number] for number in range(200)] == one_by_one
    assert len(set(one_by_one)) > 150
    assert server.metric('teachwhy_serving_batch_rows_bucket{le="48.0"}') < server.metric(
        "teachwhy_serving_batch_rows_count"
    ), "the requests never shared a large batch"


async def test_a_client_that_goes_away_frees_its_place(server: ServingProcess) -> None:
    assert server.load("patient")[0] == 200
    left = server.metric('teachwhy_serving_requests_total{code="499"}')
    body = {"model": "patient", "messages": HELLO, "temperature": 0, "max_tokens": 4000}
    url = f"{server.url}/openai/v1/chat/completions"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json={**body, "stream": True}) as response:
            await response.content.readline()
        with pytest.raises(TimeoutError):
            await session.post(url, json=body, timeout=aiohttp.ClientTimeout(total=0.2))

    def both_are_counted() -> bool:
        return server.metric('teachwhy_serving_requests_total{code="499"}') == left + 2

    def nothing_is_computed() -> bool:
        tokens = server.metric("teachwhy_serving_completion_tokens_total")
        time.sleep(0.05)
        return tokens == server.metric("teachwhy_serving_completion_tokens_total")

    await asyncio.to_thread(wait_until, both_are_counted)
    await asyncio.to_thread(wait_until, nothing_is_computed)
    assert server.unload("patient")[0] == 200


def test_metrics_count_what_happens(server: ServingProcess, client: openai.OpenAI) -> None:
    names = [
        'teachwhy_serving_requests_total{code="200"}',
        "teachwhy_serving_request_duration_seconds_count",
        "teachwhy_serving_batch_rows_count",
        "teachwhy_serving_prompt_tokens_total",
        "teachwhy_serving_completion_tokens_total",
    ]
    before = [server.metric(name) for name in names]

    client.chat.completions.create(model="tiny", messages=HELLO, temperature=0, max_tokens=6)

    after = [server.metric(name) for name in names]
    gained = [now - then for now, then in zip(after, before, strict=True)]
    assert gained == [1, 1, 5, 5, 6]
    assert server.metric("teachwhy_serving_loaded_checkpoints") >= 1
    assert server.metric("teachwhy_serving_queued_requests") == 0


def test_health_and_kserves_own_routes_answer(server: ServingProcess) -> None:
    assert server.get("/v2/health/ready") == '{"ready":true}'
    assert server.get("/v2/health/live") == '{"live":true}'
    assert '"tiny"' in server.get("/v2/models")
    assert '"ready":true' in server.get("/v2/models/tiny/ready")


def test_it_listens_on_loopback_only(server: ServingProcess) -> None:
    connections = psutil.Process(server.process.pid).connections(kind="inet")
    listening = [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]

    assert listening == [("127.0.0.1", server.port)]
