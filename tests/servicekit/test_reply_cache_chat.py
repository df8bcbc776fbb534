"""A chat model with a cache: equal requests are paid for once, failures are not kept."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.servicekit.cached_chat import CachedChatModel
from services.servicekit.chat import ChatModel, ChatReply, ChatRequest, FinishReason, Usage
from services.servicekit.chat_scripted import ScriptedChatModel, text_reply
from services.servicekit.conversation import Message, Role
from services.servicekit.errors import ModelUnavailable, StoreUnavailable
from services.servicekit.reply_cache import ReplyCache, reply_key
from services.servicekit.spending import MeteredChatModel, SpendingLimit, SpendingLimitReached
from services.servicekit.storage.directory import DirectoryStore
from tests.servicekit.replies import FragileStore, key, reply, request, until


class HeldModel:
    """Answers when it is released; counts calls, and those that were cancelled."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.calls = 0
        self.cancelled = 0

    async def reply(self, request: ChatRequest) -> ChatReply:
        self.calls += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return reply(request.sampling.seed)


@pytest_asyncio.fixture
async def cache(tmp_path: Path) -> AsyncIterator[ReplyCache]:
    async with ReplyCache(DirectoryStore(tmp_path / "store"), tmp_path / "copy") as cache:
        assert await cache.find(key(999)) is None
        yield cache


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_equal_requests_are_asked_once(cache: ReplyCache) -> None:
    asked = ScriptedChatModel(lambda request: reply(request.sampling.seed))
    model = CachedChatModel(asked, cache)

    assert [await model.reply(request(number)) for number in (1, 2, 1)] == [
        reply(1),
        reply(2),
        reply(1),
    ]
    assert len(asked.requests) == 2


async def test_equal_requests_on_their_way_share_one_call(cache: ReplyCache) -> None:
    held = HeldModel()
    # Two streams of a room: each has its own model on the one cache.
    models = [CachedChatModel(held, cache), CachedChatModel(held, cache)]
    tasks = [asyncio.create_task(models[n % 2].reply(request(1))) for n in range(10)]
    await _settle()
    held.release.set()

    assert await asyncio.gather(*tasks) == [reply(1)] * 10
    assert held.calls == 1


async def test_one_who_is_cancelled_leaves_the_others_their_call(cache: ReplyCache) -> None:
    held = HeldModel()
    model = CachedChatModel(held, cache)
    first, *others = [asyncio.create_task(model.reply(request(1))) for _ in range(3)]
    await _settle()
    first.cancel()
    await _settle()
    held.release.set()

    assert await asyncio.gather(*others) == [reply(1)] * 2
    assert (held.calls, held.cancelled) == (1, 0)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_the_last_who_is_cancelled_takes_the_call_along(cache: ReplyCache) -> None:
    held = HeldModel()
    model = CachedChatModel(held, cache)
    tasks = [asyncio.create_task(model.reply(request(1))) for _ in range(3)]
    await _settle()
    for task in tasks:
        task.cancel()
    await _settle()

    assert (held.calls, held.cancelled) == (1, 1)
    held.release.set()
    assert await model.reply(request(1)) == reply(1)
    assert held.calls == 2


async def test_a_failed_call_is_not_kept(cache: ReplyCache) -> None:
    answers: list[ChatReply | Exception] = [ModelUnavailable("author", "w", "down"), reply(1)]
    model = CachedChatModel(ScriptedChatModel(lambda _request: answers.pop(0)), cache)

    with pytest.raises(ModelUnavailable):
        await model.reply(request(1))
    assert await model.reply(request(1)) == reply(1)


async def test_all_who_wait_learn_of_a_failure(cache: ReplyCache) -> None:
    asked = ScriptedChatModel(lambda _request: ModelUnavailable("author", "w", "down"))
    model = CachedChatModel(asked, cache)

    failures = await asyncio.gather(
        *(model.reply(request(1)) for _ in range(3)), return_exceptions=True
    )

    assert [type(failure) for failure in failures] == [ModelUnavailable] * 3
    assert len(asked.requests) == 1


@pytest.mark.parametrize("reason", [FinishReason.CONTENT_FILTER, FinishReason.LENGTH])
async def test_a_reply_of_no_use_is_kept_because_it_was_paid_for(
    cache: ReplyCache, reason: FinishReason
) -> None:
    empty = ChatReply(
        message=Message(role=Role.ASSISTANT, content=""), finish_reason=reason, usage=Usage()
    )
    asked = ScriptedChatModel(lambda _request: empty)
    model = CachedChatModel(asked, cache)

    assert await model.reply(request(1)) == await model.reply(request(1)) == empty
    await model.reply(request(2))  # another seed asks again

    assert len(asked.requests) == 2


async def test_a_variant_of_the_endpoint_has_replies_of_its_own(cache: ReplyCache) -> None:
    asked = ScriptedChatModel(lambda _request: text_reply("yes"))
    plain = CachedChatModel(asked, cache)
    pinned = CachedChatModel(asked, cache, variant_of=lambda _target: "provider x")

    await plain.reply(request(1))
    await pinned.reply(request(1))

    assert len(asked.requests) == 2
    assert plain.key(request(1)) == reply_key(request(1))
    assert pinned.key(request(1)) == reply_key(request(1), "provider x")
    assert await cache.find(pinned.key(request(1))) == text_reply("yes")


async def test_another_job_s_limit_does_not_end_ours(cache: ReplyCache) -> None:
    asked = ScriptedChatModel(lambda _request: reply(1))

    def metered(max_tokens: int) -> ChatModel:
        limit = SpendingLimit(max_tokens=max_tokens)
        meter = MeteredChatModel(asked, price_of=lambda _target: None, limit=limit)
        return CachedChatModel(meter, cache)

    poor, rich = metered(1), metered(10**6)
    outcomes = await asyncio.gather(
        poor.reply(request(1)), rich.reply(request(1)), return_exceptions=True
    )

    assert isinstance(outcomes[0], SpendingLimitReached)
    assert outcomes[1] == reply(1)
    # What somebody paid for is free.
    assert await poor.reply(request(1)) == reply(1)


async def test_a_call_waits_for_a_store_that_has_the_reply(tmp_path: Path) -> None:
    store = FragileStore(DirectoryStore(tmp_path / "store"))
    async with ReplyCache(store, tmp_path / "one") as cache:
        await cache.keep(key(1), reply(1))
    asked = ScriptedChatModel(lambda _request: reply(2))

    async with ReplyCache(store, tmp_path / "two") as cache:
        assert await CachedChatModel(asked, cache).reply(request(1)) == reply(1)
    store.is_away = True
    async with ReplyCache(store, tmp_path / "three") as cache:
        with pytest.raises(StoreUnavailable):
            await CachedChatModel(asked, cache).reply(request(1))

    assert asked.requests == []


async def test_requests_that_meet_while_the_store_is_read_share_one_call(tmp_path: Path) -> None:
    store = FragileStore(DirectoryStore(tmp_path / "store"))
    held = HeldModel()
    async with ReplyCache(store, tmp_path / "copy", refresh_seconds=0.0) as cache:
        model = CachedChatModel(held, cache)
        tasks = [asyncio.create_task(model.reply(request(1))) for _ in range(5)]
        await until(lambda: held.calls > 0)
        tasks += [asyncio.create_task(model.reply(request(1))) for _ in range(5)]
        held.release.set()

        assert await asyncio.gather(*tasks) == [reply(1)] * 10
    assert held.calls == 1


async def test_a_request_keeps_its_key_however_many_are_asked(cache: ReplyCache) -> None:
    asked = ScriptedChatModel(lambda request: reply(request.sampling.seed))
    model = CachedChatModel(asked, cache)
    requests = [request(number) for number in range(300)]
    await asyncio.gather(*map(model.reply, requests))

    for _ in range(2):
        assert [model.key(each) for each in requests] == [reply_key(each) for each in requests]
    assert model.key(request(7)) == reply_key(request(7))


async def test_a_call_that_its_last_waiter_left_at_once_is_never_made(cache: ReplyCache) -> None:
    held = HeldModel()
    model = CachedChatModel(held, cache)
    task = asyncio.create_task(model.reply(request(1)))
    await until(lambda: cache.flights.get(reply_key(request(1))) is not None)
    task.cancel()
    await _settle()

    assert held.calls == held.cancelled
    assert cache.flights.get(model.key(request(1))) is None
