"""Grades texts through the judge room; goes on behind the last grade after a lost connection."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from itertools import islice
from typing import Self

import grpc
from teachwhy.common.v1 import model_pb2
from teachwhy.judge.v1 import grade_pb2, judge_service_pb2_grpc, verdict_pb2
from teachwhy.judge.v1 import judge_service_pb2 as pb

from services.dataset.example import Text
from services.dataset.grading import Grade, GradeItem
from services.dataset.rubric_revisions import RubricRevisions
from services.servicekit.channel import ChannelSettings, error_details, open_channel
from services.servicekit.chat import ModelRef
from services.servicekit.conversation_convert import message_to_proto, usage_from_proto
from services.servicekit.errors import (
    FieldViolation,
    InvalidField,
    ModelRejectedRequest,
    ModelUnavailable,
    ResourceNotFound,
    ServiceError,
)

ATTEMPTS_WITHOUT_PROGRESS = 6
"""Calls in a row that bring no grade, before the judge counts as away."""

RECONNECT_SECONDS = 20.0
"""Longest wait for the room to be back."""

WINDOW = 256
"""Items taken from the caller and not yet graded."""

_LIST_RUBRICS = "teachwhy.judge.v1.JudgeService/ListRubrics"
_ANY_MODEL = ModelRef(endpoint="judge", model="any")
_FIRST_PAUSE_SECONDS = 0.1
# The room's own cancel of a stream is how its drain ends one that would not end by itself.
_TRANSIENT = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class JudgeClient:
    """A Grader behind gRPC. Enter it before the first item."""

    def __init__(self, address: str, settings: ChannelSettings | None = None) -> None:
        """Reach the judge at this address, for example "127.0.0.1:50053"."""
        self._address = address
        self._settings = settings
        self._channel: grpc.aio.Channel | None = None
        self._rubrics = RubricRevisions(self._ask_revisions)
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the channel.

        Raises:
            InvalidSettings: the token file is empty or cannot be read.
        """
        self._channel = open_channel(self._address, self._settings, idempotent=[_LIST_RUBRICS])
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the channel and with it every stream."""
        if self._watching is not None:
            self._watching.cancel()
        self._rubrics.forget()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def grade(self, item: GradeItem) -> Grade:
        """Grade one text. Raises as Grader does."""

        async def one() -> AsyncIterator[GradeItem]:
            yield item

        async with aclosing(self.grade_texts(one())) as grades:
            grade = await anext(grades)
        self._rubrics.notice(item.rubric, grade.rubric_revision)
        return grade

    async def rubric_revision(self, rubric: str) -> str:
        """Return the revision of a rubric for texts, at most a minute old. Raises as Grader does.

        It is asked for again after a lost connection: what comes back may be another judge.
        """
        return await self._rubrics.of(rubric)

    async def grade_texts(self, items: AsyncIterable[GradeItem]) -> AsyncGenerator[Grade, None]:
        """Grade texts; grades come in the order of the items. Close it to stop spending.

        Raises as Grader does, and whatever the items' source raises, behind the grades of all
        items before.
        """
        stub = judge_service_pb2_grpc.JudgeServiceStub(self._opened())
        unanswered = _Unanswered(items)
        fruitless = 0
        try:
            while True:
                call = stub.GradeTexts(unanswered.requests())
                try:
                    async for response in call:
                        fruitless = 0
                        yield unanswered.take(response)
                    break
                except grpc.aio.AioRpcError as error:
                    fruitless += 1
                    if not _is_transient(error) or fruitless >= ATTEMPTS_WITHOUT_PROGRESS:
                        raise self._meaning(error, unanswered.judge_model) from error
                    await self._wait_until_ready(fruitless, unanswered.judge_model)
                finally:
                    call.cancel()
            unanswered.end()
        finally:
            unanswered.close()

    def _opened(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise RuntimeError("JudgeClient must be entered before its first item")
        return self._channel

    async def _ask_revisions(self) -> Mapping[str, str]:
        stub = judge_service_pb2_grpc.JudgeServiceStub(self._opened())
        try:
            listed = await stub.ListRubrics(
                pb.ListRubricsRequest(), timeout=RECONNECT_SECONDS, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._away(_ANY_MODEL) from error
            raise self._meaning(error, _ANY_MODEL) from error
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._forget_when_lost(self._opened()))
        is_for_texts = verdict_pb2.RUBRIC_KIND_TEXTS
        return {each.name: each.revision for each in listed.rubrics if each.kind == is_for_texts}

    async def _forget_when_lost(self, channel: grpc.aio.Channel) -> None:
        await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        self._rubrics.forget()

    async def _wait_until_ready(self, fruitless: int, judge_model: ModelRef) -> None:
        await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2 ** (fruitless - 1))
        try:
            await asyncio.wait_for(self._opened().channel_ready(), RECONNECT_SECONDS)
        except TimeoutError as error:
            raise self._away(judge_model) from error

    def _away(self, judge_model: ModelRef) -> ModelUnavailable:
        detail = f"the judge at {self._address} is away for {RECONNECT_SECONDS:g} s"
        return ModelUnavailable(judge_model.endpoint, judge_model.model, detail)

    def _meaning(self, error: grpc.aio.AioRpcError, judge_model: ModelRef) -> ServiceError:
        details = error_details(error)
        said = f"the judge at {self._address} says: {details.message}"
        known = details.metadata
        match details.reason:
            case "RESOURCE_NOT_FOUND":
                kind, name = known.get("resource_type", "thing"), known.get("resource_name", "")
                return ResourceNotFound(f"{kind} of the judge", name)
            case "INVALID_FIELD":
                return InvalidField(
                    *(
                        FieldViolation(each.field, f"the judge refuses it: {each.description}")
                        for each in details.violations
                    )
                )
            case "MODEL_REJECTED_REQUEST":
                status = int(known.get("http_status", "0"))
                return ModelRejectedRequest(judge_model.endpoint, judge_model.model, status, said)
        return ModelUnavailable(
            judge_model.endpoint, judge_model.model, f"{said} ({error.code().name})"
        )


def _is_transient(error: grpc.aio.AioRpcError) -> bool:
    if error.code() is grpc.StatusCode.INTERNAL:
        # What grpc.aio makes of a write to a stream that the room has just ended, whatever for;
        # the room's own faults carry a reason.
        return not error_details(error).reason
    return error.code() in _TRANSIENT


class _Unanswered:
    """Items that were taken from their source and have no grade yet.

    The source is read by a task of its own: a call that breaks cancels whoever waits for the next
    request, and a source that is cancelled would be lost.
    """

    def __init__(self, items: AsyncIterable[GradeItem]) -> None:
        self._items: deque[GradeItem] = deque()
        self._first = 0
        self._is_all = False
        self._failure: Exception | None = None
        self._room = asyncio.Semaphore(WINDOW)
        self._changed = asyncio.Event()
        self._judge_model = ModelRef(model="unknown")
        self._reading = asyncio.create_task(self._read(items))

    @property
    def judge_model(self) -> ModelRef:
        """The model that is asked about the next grade."""
        return self._items[0].judge_model if self._items else self._judge_model

    async def requests(self) -> AsyncIterator[pb.GradeTextsRequest]:
        """Everything without a grade, then what the source still brings."""
        index = self._first
        while True:
            changed = self._changed
            for item in tuple(islice(self._items, index - self._first, None)):
                yield _request(index, item)
                index += 1
            if index == self._first + len(self._items):
                if self._is_all:
                    return
                await changed.wait()

    def take(self, response: pb.GradeTextsResponse) -> Grade:
        """Read the grade of the first item and forget the item."""
        if not self._items or response.index != self._first:
            raise RuntimeError(f"the judge sent grade {response.index}, due {self._first}")
        self._judge_model = self._items.popleft().judge_model
        self._first += 1
        self._room.release()
        return _grade(response.grade)

    def end(self) -> None:
        """Check that a stream that ended well brought everything; raise what ended the source."""
        if self._items or not self._is_all:
            raise RuntimeError(f"the judge ended its stream before grade {self._first}")
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop reading the source."""
        self._reading.cancel()

    async def _read(self, items: AsyncIterable[GradeItem]) -> None:
        try:
            await self._room.acquire()
            async for item in items:
                self._items.append(item)
                self._pulse()
                await self._room.acquire()
        except Exception as failure:  # noqa: BLE001 - raised again where the grades end
            self._failure = failure
        self._is_all = True
        self._pulse()

    def _pulse(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _request(index: int, item: GradeItem) -> pb.GradeTextsRequest:
    judge_model = item.judge_model
    request = pb.GradeTextsRequest(
        index=index,
        rubric=item.rubric,
        judge_model=model_pb2.ModelRef(endpoint=judge_model.endpoint, model=judge_model.model),
        reference=item.reference,
    )
    if isinstance(item.content, Text):
        request.document = item.content.text
    else:
        request.transcript.messages.extend(map(message_to_proto, item.content.messages))
    return request


def _grade(grade: grade_pb2.Grade) -> Grade:
    outcome = grade.WhichOneof("outcome")
    if outcome is None:
        raise RuntimeError("the judge sent a grade without an outcome")
    return Grade(
        values=dict(grade.scores.values) if outcome == "scores" else None,
        rationale=grade.scores.rationale,
        refusal=(grade.refusal.text or "no reason given") if outcome == "refusal" else "",
        error=(grade.error.detail or "no reason given") if outcome == "error" else "",
        rubric_revision=grade.rubric_revision,
        model_revision=grade.model_revision,
        usage=usage_from_proto(grade.usage),
    )
