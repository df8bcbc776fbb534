"""The one thread in which all models compute, and the tickets that requests wait on.

Knows no HTTP and no model family. Requests of a model wait in its lane; the thread goes round the
lanes, lets waiting rows join and advances each lane by one token. Everything a round produced is
handed to the event loop in one call.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from services.serving.row import Finish, Row

# A forward pass has a fixed cost, so a few newcomers wait for company, but never for long.
_JOIN_SHARE = 8
_JOIN_PATIENCE_STEPS = 4


class QueueFull(Exception):
    """Too many requests of one model are waiting."""


class GenerationFailed(RuntimeError):
    """The model failed while it computed; the cause is attached."""


class Update(NamedTuple):
    """What a reply has gained."""

    new_ids: Sequence[int]
    finish: Finish | None
    error: BaseException | None = None


class RowEngine(Protocol):
    """Computes rows together; engine.Engine is the one that does it with torch."""

    context_tokens: int

    def join(self, rows: Sequence[Row]) -> None:
        """Compute new rows' prompts and first tokens."""

    def step(self) -> None:
        """Generate one more token for every row."""

    def leave(self, row: Row) -> None:
        """Drop a row."""

    def clear(self) -> None:
        """Drop all rows."""


class BatchObserver(Protocol):
    """Is told, in the computing thread, what happens there."""

    def prompts_computed(self, num_rows: int, num_tokens: int) -> None:
        """Rows joined a batch with so many prompt tokens."""

    def step_computed(self, num_rows: int) -> None:
        """A batch of this size gained one token per row."""

    def queued(self, change: int) -> None:
        """The number of waiting requests changed."""

    def failed(self, error: BaseException) -> None:
        """A model failed while it computed."""


class Ticket:
    """A request's place in a lane, and where its reply arrives."""

    def __init__(self, row: Row, *, each_token: bool) -> None:
        """Wait for a row.

        Args:
            row: what to generate.
            each_token: report every token; otherwise only the whole reply.
        """
        self.row = row
        self.each_token = each_token
        self.is_cancelled = False
        self._num_reported = 0
        self._updates: asyncio.Queue[Update] = asyncio.Queue()

    async def updates(self) -> AsyncIterator[Update]:
        """Yield what the reply gains until it is finished.

        Raises:
            GenerationFailed: the model failed.
        """
        while True:
            update = await self._updates.get()
            if update.error is not None:
                raise GenerationFailed(str(update.error)) from update.error
            yield update
            if update.finish is not None:
                return

    def cancel(self) -> None:
        """Give the place up; the row leaves its batch before the next step."""
        self.is_cancelled = True

    def report(self, update: Update) -> None:
        """Hand an update to the waiting request; called in the event loop."""
        self._updates.put_nowait(update)

    def take_update(self) -> Update | None:
        """Return what has not been reported yet; called in the computing thread."""
        if not self.each_token and self.row.finish is None:
            return None
        new_ids = self.row.new_ids[self._num_reported :]
        self._num_reported += len(new_ids)
        return Update(new_ids, self.row.finish) if new_ids else None


class Lane:
    """The requests of one model."""

    def __init__(self, engine: RowEngine) -> None:
        """Start with nobody."""
        self.engine = engine
        self.waiting: deque[Ticket] = deque()
        self.running: list[Ticket] = []
        self.steps_since_join = 0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to compute."""
        return not self.waiting and not self.running


class BatchingThread:
    """Computes for all lanes until it is stopped."""

    def __init__(
        self,
        *,
        max_batch_size: int,
        max_prefill_tokens: int,
        max_queued_requests: int,
        window_seconds: float,
        observer: BatchObserver,
    ) -> None:
        """Take the limits; the meaning of each stands in settings.py."""
        self._max_batch_size = max_batch_size
        self._max_prefill_tokens = max_prefill_tokens
        self._max_queued_requests = max_queued_requests
        self._window_seconds = window_seconds
        self._observer = observer
        self._lanes: set[Lane] = set()
        self._work = threading.Condition()
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="batching", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start computing; updates are reported in this loop."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Stop after the step in progress."""
        with self._work:
            self._is_stopping = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, lane: Lane, ticket: Ticket) -> None:
        """Put a request into its lane.

        Raises:
            QueueFull: as many requests as allowed are waiting there.
        """
        if len(lane.waiting) >= self._max_queued_requests:
            raise QueueFull(f"{len(lane.waiting)} requests are waiting for this model")
        with self._work:
            lane.waiting.append(ticket)
            self._observer.queued(1)
            self._lanes.add(lane)
            self._work.notify()

    def _run(self) -> None:
        was_idle = True
        while self._wait_for_work(was_idle=was_idle):
            reports: list[tuple[Ticket, Update]] = []
            for lane in list(self._lanes):
                try:
                    self._advance(lane, reports)
                except Exception as error:  # noqa: BLE001 (one model's fault ends no other's work)
                    self._fail(lane, error, reports)
            with self._work:
                self._lanes = {lane for lane in self._lanes if not lane.is_idle}
                was_idle = not self._lanes
            if reports and self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop closed, and nobody listens
                    self._loop.call_soon_threadsafe(_report_all, reports)

    def _wait_for_work(self, *, was_idle: bool) -> bool:
        with self._work:
            while not self._lanes and not self._is_stopping:
                self._work.wait()
        if was_idle and not self._is_stopping:
            time.sleep(self._window_seconds)
        return not self._is_stopping

    def _advance(self, lane: Lane, reports: list[tuple[Ticket, Update]]) -> None:
        self._drop_cancelled(lane)
        joining = self._choose_joining(lane)
        if joining:
            lane.running += joining  # first, so that a failure reaches them too
            lane.engine.join([ticket.row for ticket in joining])
            num_tokens = sum(len(ticket.row.prompt_ids) for ticket in joining)
            self._observer.prompts_computed(len(joining), num_tokens)
            _collect(lane, reports)
        if lane.running:
            self._observer.step_computed(len(lane.running))
            lane.engine.step()
            lane.steps_since_join += 1
            _collect(lane, reports)

    def _drop_cancelled(self, lane: Lane) -> None:
        for ticket in [each for each in lane.running if each.is_cancelled]:
            lane.running.remove(ticket)
            lane.engine.leave(ticket.row)

    def _choose_joining(self, lane: Lane) -> list[Ticket]:
        free = self._max_batch_size - len(lane.running)
        num_waiting = min(len(lane.waiting), free)
        is_worth_it = num_waiting * _JOIN_SHARE >= len(lane.running)
        if num_waiting == 0 or not (is_worth_it or lane.steps_since_join >= _JOIN_PATIENCE_STEPS):
            return []
        joining: list[Ticket] = []
        width = 0
        while lane.waiting and len(joining) < free:
            width = max(width, len(lane.waiting[0].row.prompt_ids))
            if joining and width * (len(joining) + 1) > self._max_prefill_tokens:
                break
            ticket = lane.waiting.popleft()
            self._observer.queued(-1)
            if not ticket.is_cancelled:
                joining.append(ticket)
        lane.steps_since_join = 0
        return joining

    def _fail(self, lane: Lane, error: Exception, reports: list[tuple[Ticket, Update]]) -> None:
        self._observer.failed(error)
        reports += [(ticket, Update((), None, error)) for ticket in lane.running]
        lane.running.clear()
        lane.engine.clear()


def _collect(lane: Lane, reports: list[tuple[Ticket, Update]]) -> None:
    for ticket in lane.running:
        update = ticket.take_update()
        if update is not None:
            reports.append((ticket, update))
    for ticket in [each for each in lane.running if each.row.finish is not None]:
        lane.running.remove(ticket)
        lane.engine.leave(ticket.row)


def _report_all(reports: Sequence[tuple[Ticket, Update]]) -> None:
    for ticket, update in reports:
        ticket.report(update)
