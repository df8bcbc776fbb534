"""A spending limit holds, however many calls are made at once and however they end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.servicekit.chat import (
    ChatReply,
    ChatRequest,
    FinishReason,
    ModelRef,
    Sampling,
    Usage,
)
from services.servicekit.chat_price import Price
from services.servicekit.chat_scripted import ScriptedChatModel
from services.servicekit.conversation import Message, Role, ToolDefinition
from services.servicekit.errors import InvalidField, ModelUnavailable
from services.servicekit.spending import (
    MeteredChatModel,
    Spending,
    SpendingLimit,
    SpendingLimitReached,
    most_input_tokens,
)

PRICE = Price(usd_per_million_input_tokens=1.0, usd_per_million_output_tokens=5.0)


def request(prompt: str = "four", *, max_output_tokens: int = 100) -> ChatRequest:
    return ChatRequest(
        target=ModelRef(model="writer-1"),
        messages=(Message(role=Role.USER, content=prompt),),
        sampling=Sampling(max_output_tokens=max_output_tokens),
    )


def reply(input_tokens: int, output_tokens: int) -> ChatReply:
    return ChatReply(
        message=Message(role=Role.ASSISTANT, content="yes"),
        finish_reason=FinishReason.STOP,
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
    )


def free(_target: ModelRef) -> Price | None:
    return None


def priced(_target: ModelRef) -> Price | None:
    return PRICE


WORST = most_input_tokens(request()) + 100


@dataclass(frozen=True)
class Call:
    """A call, and how it ends after some turns of the event loop."""

    request: ChatRequest
    turns: int
    input_share: float
    output_share: float
    ending: str


CALLS = st.builds(
    Call,
    request=st.builds(
        request, st.text(max_size=60), max_output_tokens=st.integers(min_value=1, max_value=300)
    ),
    turns=st.integers(min_value=0, max_value=6),
    input_share=st.floats(min_value=0.0, max_value=1.0),
    output_share=st.floats(min_value=0.0, max_value=1.0),
    ending=st.sampled_from(["reply", "reply", "reply", "failure", "cancel"]),
)


class Host:
    """Ends each call as it was told; never gives more than it was asked for."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = {id(call.request): call for call in calls}
        self.given = Usage()
        self.answered = 0

    async def reply(self, request: ChatRequest) -> ChatReply:
        call = self._calls[id(request)]
        for _ in range(call.turns):
            await asyncio.sleep(0)
        if call.ending == "failure":
            raise ModelUnavailable("default", "writer-1", "told so")
        taken = 1 + int(call.input_share * (most_input_tokens(request) - 1))
        given = int(call.output_share * request.sampling.max_output_tokens)
        self.given = Usage(
            input_tokens=self.given.input_tokens + taken,
            output_tokens=self.given.output_tokens + given,
        )
        self.answered += 1
        return reply(taken, given)


async def _play(calls: Sequence[Call], limit: SpendingLimit) -> tuple[MeteredChatModel, Host]:
    calls = [replace(call, request=replace(call.request)) for call in calls]  # each its own
    host = Host(calls)
    meter = MeteredChatModel(host, price_of=priced, limit=limit)
    tasks = [asyncio.create_task(meter.reply(call.request)) for call in calls]
    await asyncio.sleep(0)
    for task, call in zip(tasks, calls, strict=True):
        if call.ending == "cancel":
            task.cancel()
            await asyncio.sleep(0)
    async with asyncio.timeout(30):  # nobody waits for ever
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    allowed = (ChatReply, ModelUnavailable, SpendingLimitReached, asyncio.CancelledError)
    assert all(isinstance(outcome, allowed) for outcome in outcomes)
    return meter, host


@given(
    st.lists(CALLS, max_size=30),
    st.integers(min_value=1, max_value=6000),
    st.floats(min_value=1e-6, max_value=0.02),
)
def test_the_limit_holds_and_every_token_is_counted(
    calls: list[Call], max_tokens: int, max_usd: float
) -> None:
    limit = SpendingLimit(max_tokens=max_tokens, max_usd=max_usd)

    meter, host = asyncio.run(_play(calls, limit))

    assert meter.spent.tokens == host.given.input_tokens + host.given.output_tokens <= max_tokens
    assert meter.spent.usd == pytest.approx(PRICE.usd(host.given))
    assert meter.spent.usd <= max_usd + 1e-9
    assert meter.spent.calls == host.answered


@given(st.lists(CALLS, max_size=20))
def test_without_a_limit_nothing_is_refused(calls: list[Call]) -> None:
    meter, host = asyncio.run(_play(calls, SpendingLimit()))

    assert host.answered >= sum(call.ending == "reply" for call in calls)
    assert meter.spent.calls == host.answered


async def test_calls_that_turn_out_cheap_make_room_for_those_that_wait() -> None:
    asked = ScriptedChatModel(lambda _request: reply(1, 1))
    # Room for one worst case at a time, and for all as they turn out.
    meter = MeteredChatModel(asked, price_of=free, limit=SpendingLimit(max_tokens=WORST + 20))

    await asyncio.gather(*(meter.reply(request()) for _ in range(10)))

    assert meter.spent == Spending(tokens=20, calls=10)


async def test_a_refused_call_is_not_sent_and_says_what_is_spent() -> None:
    asked = ScriptedChatModel(lambda _request: reply(10, 100))
    meter = MeteredChatModel(asked, price_of=priced, limit=SpendingLimit(max_tokens=WORST))
    await meter.reply(request())

    with pytest.raises(SpendingLimitReached, match=f"limit of {WORST} tokens") as caught:
        await meter.reply(request())

    assert len(asked.requests) == 1
    assert caught.value.metadata == {"spent_tokens": "110", "spent_usd": "0.000510"}


async def test_a_limit_in_dollars_needs_a_price() -> None:
    asked = ScriptedChatModel(lambda _request: reply(1, 1))
    meter = MeteredChatModel(asked, price_of=free, limit=SpendingLimit(max_usd=1.0))

    with pytest.raises(InvalidField, match='max_usd: must be 0 for model "writer-1"'):
        await meter.reply(request())
    assert asked.requests == []


async def test_a_call_that_failed_gives_its_reservation_back() -> None:
    answers: list[ChatReply | Exception] = [ModelUnavailable("default", "m", "down"), reply(5, 5)]
    meter = MeteredChatModel(
        ScriptedChatModel(lambda _request: answers.pop(0)),
        price_of=free,
        limit=SpendingLimit(max_tokens=WORST),
    )

    with pytest.raises(ModelUnavailable):
        await meter.reply(request())
    await meter.reply(request())

    assert meter.spent == Spending(tokens=10, calls=1, unanswered_calls=1)


async def test_a_host_that_counts_nothing_is_taken_at_its_worst() -> None:
    meter = MeteredChatModel(
        ScriptedChatModel(lambda _request: reply(0, 0)), price_of=free, limit=SpendingLimit()
    )
    await meter.reply(request())

    assert meter.spent.tokens == WORST


@given(st.text(st.characters(codec="utf-8")))
def test_no_byte_level_tokenizer_makes_more_tokens_than_are_reserved(text: str) -> None:
    plain = most_input_tokens(request(text))
    with_tool = replace(request(text), tools=(ToolDefinition(name="t", description=text),))

    assert plain >= len(text.encode())
    assert most_input_tokens(with_tool) >= plain + len(text.encode())


@pytest.mark.parametrize(
    ("limit", "share"),
    [
        (SpendingLimit(), 0.0),
        (SpendingLimit(max_tokens=1000), 0.03),
        (SpendingLimit(max_usd=0.001), 0.07),
        (SpendingLimit(max_tokens=1000, max_usd=0.001), 0.07),
    ],
)
async def test_the_share_that_is_spent_is_that_of_the_nearer_limit(
    limit: SpendingLimit, share: float
) -> None:
    model = MeteredChatModel(
        ScriptedChatModel(lambda _request: reply(20, 10)), price_of=priced, limit=limit
    )

    await model.reply(request(max_output_tokens=10))

    assert model.spent_share == pytest.approx(share)
