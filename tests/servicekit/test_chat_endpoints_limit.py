"""How many requests are on their way at once, and what an endpoint's overload does to all."""

import asyncio
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.servicekit.chat_limit import AdaptiveLimit, GivenUp, backoff_seconds
from services.servicekit.errors import ModelUnavailable
from tests.model_server.answers import Answer, Reply, rate_limited, server_error
from tests.model_server.asked import Asked
from tests.model_server.server import ModelServer
from tests.servicekit.asking import asking, request


async def let_in(limit: AdaptiveLimit, count: int) -> list[int]:
    return [await limit.enter() for _ in range(count)]


async def test_a_burst_of_refusals_halves_the_limit_once() -> None:
    limit = AdaptiveLimit(64)
    eras = await let_in(limit, 64)

    for era in eras:
        limit.overloaded(era)

    assert limit.limit == 32


async def test_the_next_refusal_halves_it_again_down_to_one() -> None:
    limit, seen = AdaptiveLimit(5), []

    for _ in range(5):
        eras = await let_in(limit, limit.limit)
        limit.overloaded(eras[0])
        for _ in eras:
            limit.leave()
        seen.append(limit.limit)
        if limit.limit == 1:
            break

    assert seen == [3, 2, 1]


async def test_what_was_on_its_way_is_halved_however_much_was_allowed() -> None:
    limit = AdaptiveLimit(64)
    eras = await let_in(limit, 6)

    limit.overloaded(eras[0])

    assert limit.limit == 3


async def test_a_window_of_successes_raises_the_limit_by_one() -> None:
    limit = AdaptiveLimit(8)
    limit.overloaded((await let_in(limit, 8))[0])
    seen = []

    for _ in range(40):
        limit.succeeded()
        seen.append(limit.limit)

    assert seen[:4] == [4, 4, 4, 5]
    assert seen[7:9] == [5, 6]
    assert seen[-1] == 8


async def test_what_led_to_a_pause_is_not_tried_again_soon() -> None:
    limit = AdaptiveLimit(8)
    era = (await let_in(limit, 8))[0]
    limit.pause(60.0)
    limit.overloaded(era)

    for _ in range(1000):
        limit.succeeded()

    assert limit.limit == 7


async def test_a_pause_told_to_a_few_does_not_keep_the_many_away() -> None:
    limit = AdaptiveLimit(8)
    era = (await let_in(limit, 1))[0]
    limit.pause(60.0)
    limit.overloaded(era)
    assert limit.limit == 1

    for _ in range(1000):
        limit.succeeded()

    assert limit.limit == 8


async def test_what_led_to_a_short_pause_is_tried_again_later() -> None:
    limit = AdaptiveLimit(8)
    era = (await let_in(limit, 8))[0]
    limit.pause(0.001)
    limit.overloaded(era)

    await asyncio.sleep(0.5)  # ten pauses, jitter included
    for _ in range(1000):
        limit.succeeded()

    assert limit.limit == 8


async def test_nobody_is_let_in_before_the_pause_is_over_and_then_all_are() -> None:
    limit = AdaptiveLimit(4)
    limit.pause(0.2)
    begun = time.monotonic()

    await asyncio.gather(*(limit.enter() for _ in range(4)))

    assert time.monotonic() - begun >= 0.2


async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    limit = AdaptiveLimit(1)
    limit.pause(0.3)
    limit.pause(0.01)
    begun = time.monotonic()

    await limit.enter()

    assert time.monotonic() - begun >= 0.3


async def test_whoever_waits_longest_is_let_in_first() -> None:
    limit, order = AdaptiveLimit(1), []
    await limit.enter()

    async def pass_through(number: int) -> None:
        await limit.enter()
        order.append(number)
        limit.leave()

    waiting = [asyncio.create_task(pass_through(number)) for number in range(5)]
    await asyncio.sleep(0)
    limit.leave()
    await asyncio.gather(*waiting)

    assert order == [0, 1, 2, 3, 4]


async def test_giving_up_ends_every_wait() -> None:
    limit = AdaptiveLimit(1)
    await limit.enter()
    waiting = [asyncio.create_task(limit.enter()) for _ in range(3)]
    await asyncio.sleep(0)

    limit.give_up("it is gone")

    for each in waiting:
        with pytest.raises(GivenUp, match="it is gone"):
            await each


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_no_place_is_lost_whatever_is_cancelled(most: int, seed: int) -> None:
    async def play() -> None:
        draw, limit = random.Random(seed), AdaptiveLimit(most)
        inside = most_inside = 0

        async def visit() -> None:
            nonlocal inside, most_inside
            era = await limit.enter()
            inside += 1
            most_inside = max(most_inside, inside)
            try:
                for _ in range(draw.randrange(3)):
                    await asyncio.sleep(0)
                if draw.random() < 0.3 and limit.limit > 1:
                    limit.overloaded(era)
                else:
                    limit.succeeded()
            finally:
                inside -= 1
                limit.leave()

        visits = [asyncio.create_task(visit()) for _ in range(30)]
        while not all(each.done() for each in visits):
            if draw.random() < 0.3:
                draw.choice(visits).cancel()
            await asyncio.sleep(0)
        assert most_inside <= most
        assert 1 <= limit.limit <= most
        # Every place is free again.
        await asyncio.wait_for(let_in(limit, limit.limit), 5)

    asyncio.run(play())


def test_waits_grow_with_full_jitter_up_to_a_ceiling() -> None:
    waits = {failures: [backoff_seconds(failures) for _ in range(300)] for failures in (1, 3, 999)}

    assert max(waits[1]) <= 0.25
    assert max(waits[3]) <= 1.0
    assert max(waits[999]) <= 20.0
    assert min(waits[999]) < 5.0
    assert max(waits[999]) > 15.0


async def test_a_wait_that_one_request_was_told_is_kept_by_all() -> None:
    async with asking(max_connections=1) as (model, server):
        server.inject(rate_limited("1"))
        await asyncio.gather(*(model.reply(request(f"{n}")) for n in range(6)))

    assert server.num_requests == 7
    assert server.times[1] - server.times[0] >= 1.0


async def test_a_host_of_small_capacity_is_found_out_and_served() -> None:
    server: ModelServer

    def crowded(_asked: Asked) -> Answer:
        return rate_limited() if server.in_flight > 6 else Reply("ok", delay_seconds=0.002)

    async with asking(
        crowded, max_connections=64, max_attempts=2, max_rate_limited_seconds=60.0
    ) as (model, server):
        replies = await asyncio.gather(*(model.reply(request(f"{n}")) for n in range(400)))
        found = model.limit("default")

    assert {reply.message.content for reply in replies} == {"ok"}
    assert found <= 16
    assert server.num_requests - 400 <= 200  # the first burst, then a few at the edge


@pytest.mark.parametrize("status", [503, 529])
async def test_a_host_that_bears_nothing_is_given_up_by_all_at_once(status: int) -> None:
    begun = time.monotonic()

    async with asking(lambda _: server_error(status), max_connections=4) as (model, server):
        outcomes = await asyncio.gather(
            *(model.reply(request(f"{n}")) for n in range(60)), return_exceptions=True
        )

    assert {type(each) for each in outcomes} == {ModelUnavailable}
    assert server.num_requests < 60
    assert time.monotonic() - begun < 20.0


async def test_an_operator_reads_of_overload_once_a_burst_and_of_giving_up() -> None:
    with capture_logs() as events:
        async with asking(lambda _: server_error(503), max_connections=4) as (model, _):
            await asyncio.gather(
                *(model.reply(request(f"{n}")) for n in range(8)), return_exceptions=True
            )

    overloads = [each for each in events if each["event"] == "endpoint.overloaded"]
    assert [each["max_in_flight"] for each in overloads[:3]] == [2, 1, 1]
    assert overloads[0]["http_status"] == 503
    assert events[-1] == {
        "event": "endpoint.given_up",
        "log_level": "error",
        "endpoint": "default",
        "detail": "HTTP 503: something broke",
    }


async def test_a_busy_host_uses_up_time_and_no_attempts() -> None:
    async with asking(max_attempts=1, max_rate_limited_seconds=60.0) as (model, server):
        server.inject(*[rate_limited()] * 3)
        await model.reply(request())

    assert server.num_requests == 4


async def test_patience_with_a_busy_host_ends() -> None:
    async with asking(lambda _: rate_limited(), max_attempts=1, max_rate_limited_seconds=0.3) as (
        model,
        server,
    ):
        with pytest.raises(ModelUnavailable, match="HTTP 429: slow down"):
            await model.reply(request())

    assert server.num_requests >= 2


async def test_the_wait_for_a_place_is_no_part_of_an_attempts_time() -> None:
    def slow(_asked: Asked) -> Answer:
        return Reply("ok", delay_seconds=0.2)

    async with asking(slow, max_connections=1, max_attempts=1, timeout_seconds=0.6) as (model, _):
        replies = await asyncio.gather(*(model.reply(request(f"{n}")) for n in range(6)))

    assert len(replies) == 6
