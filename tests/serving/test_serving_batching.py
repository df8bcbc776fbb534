"""The computing thread: who waits, who joins, who leaves, and what a fault costs."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from services.serving.batching import (
    BatchingThread,
    GenerationFailed,
    Lane,
    QueueFull,
    Ticket,
    Update,
)
from services.serving.row import Row


class CountingEngine:
    """Counts up from the prompt; fails on the prompt [13]."""

    context_tokens = 100

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.batch_sizes: list[int] = []

    def join(self, rows: Sequence[Row]) -> None:
        self.rows += rows
        if any(row.prompt_ids == [13] for row in rows):
            raise RuntimeError("out of memory")
        self._advance(rows)

    def step(self) -> None:
        self.batch_sizes.append(len(self.rows))
        self._advance(self.rows)

    def leave(self, row: Row) -> None:
        self.rows.remove(row)

    def clear(self) -> None:
        self.rows.clear()

    def _advance(self, rows: Sequence[Row]) -> None:
        for row in rows:
            row.new_ids.append(row.prompt_ids[-1] + len(row.new_ids) + 1)
            if len(row.new_ids) == row.max_new_tokens:
                row.finish = "length"


class RecordingObserver:
    def __init__(self) -> None:
        self.num_queued = 0
        self.failures: list[BaseException] = []

    def prompts_computed(self, num_rows: int, num_tokens: int) -> None:
        pass

    def step_computed(self, num_rows: int) -> None:
        pass

    def queued(self, change: int) -> None:
        self.num_queued += change

    def failed(self, error: BaseException) -> None:
        self.failures.append(error)


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
async def batching(observer: RecordingObserver) -> AsyncIterator[BatchingThread]:
    thread = BatchingThread(
        max_batch_size=4,
        max_prefill_tokens=6,
        max_queued_requests=20,
        window_seconds=0.001,
        observer=observer,
    )
    yield thread
    thread.stop()


def _ticket(*prompt_ids: int, tokens: int = 3, each_token: bool = False) -> Ticket:
    row = Row(prompt_ids=list(prompt_ids), max_new_tokens=tokens, temperature=0.0, seed=0)
    return Ticket(row, each_token=each_token)


async def _updates(ticket: Ticket) -> list[Update]:
    return [update async for update in ticket.updates()]


async def test_requests_share_a_batch_up_to_its_size(
    batching: BatchingThread, observer: RecordingObserver
) -> None:
    engine = CountingEngine()
    lane = Lane(engine)
    tickets = [_ticket(10 * n, tokens=5) for n in range(1, 10)]
    for ticket in tickets:
        batching.submit(lane, ticket)
    batching.start(asyncio.get_running_loop())

    replies = await asyncio.gather(*map(_updates, tickets))

    assert [reply[-1].new_ids for reply in replies] == [
        [10 * n + k for k in range(1, 6)] for n in range(1, 10)
    ]
    assert max(engine.batch_sizes) == 4
    assert observer.num_queued == 0


async def test_long_prompts_join_a_few_at_a_time(batching: BatchingThread) -> None:
    engine = CountingEngine()
    lane = Lane(engine)
    tickets = [_ticket(1, 2, 3, tokens=2) for _ in range(4)]
    for ticket in tickets:
        batching.submit(lane, ticket)
    batching.start(asyncio.get_running_loop())

    await asyncio.gather(*map(_updates, tickets))

    assert max(engine.batch_sizes) == 2


async def test_a_stream_gets_every_token_and_others_get_the_whole(
    batching: BatchingThread,
) -> None:
    lane = Lane(CountingEngine())
    streamed, whole = _ticket(1, each_token=True), _ticket(1)
    batching.submit(lane, streamed)
    batching.submit(lane, whole)
    batching.start(asyncio.get_running_loop())

    pieces, replies = await asyncio.gather(_updates(streamed), _updates(whole))

    assert len(pieces) > 1
    assert [token for piece in pieces for token in piece.new_ids] == [2, 3, 4]
    assert replies == [([2, 3, 4], "length", None)]


async def test_a_fault_fails_its_own_lane_only(
    batching: BatchingThread, observer: RecordingObserver
) -> None:
    broken, sound = Lane(CountingEngine()), Lane(CountingEngine())
    bad, good = _ticket(13), _ticket(1)
    batching.submit(broken, bad)
    batching.submit(sound, good)
    batching.start(asyncio.get_running_loop())

    with pytest.raises(GenerationFailed, match="out of memory"):
        await _updates(bad)
    assert (await _updates(good))[-1].finish == "length"
    retried = _ticket(1)
    batching.submit(broken, retried)
    assert (await _updates(retried))[-1].finish == "length"
    assert [str(failure) for failure in observer.failures] == ["out of memory"]


async def test_who_gives_up_frees_the_place(batching: BatchingThread) -> None:
    engine = CountingEngine()
    lane = Lane(engine)
    endless = [_ticket(1, tokens=10**9, each_token=True) for _ in range(4)]
    waiting = _ticket(5)
    for ticket in (*endless, waiting):
        batching.submit(lane, ticket)
    batching.start(asyncio.get_running_loop())
    await anext(endless[0].updates())

    endless[0].cancel()

    assert (await _updates(waiting))[-1].new_ids == [6, 7, 8]
    for ticket in endless:
        ticket.cancel()


async def test_a_full_queue_refuses_at_once(batching: BatchingThread) -> None:
    lane = Lane(CountingEngine())
    for _ in range(20):
        batching.submit(lane, _ticket(1))

    with pytest.raises(QueueFull, match="20 requests are waiting"):
        batching.submit(lane, _ticket(1))
