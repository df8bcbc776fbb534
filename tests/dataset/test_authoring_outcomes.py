"""What becomes of items and streams when hosts, replies, judges and limits are against them."""

import grpc
import pytest
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import example_pb2, recipe_pb2

from services.dataset.grading import Grade
from services.servicekit.channel import error_details
from services.servicekit.chat import ChatRequest, FinishReason
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable
from tests.dataset.rooms import Stub
from tests.dataset.tiny_recipe import (
    Answer,
    FakeGrader,
    FakeModel,
    digest,
    reply_with,
    stage_of,
    tiny_spec,
    usual_answer,
)
from tests.dataset.tiny_streams import (
    OpenTinyRoom,
    as_bytes,
    examples_among,
    items_of,
    items_until_error,
    rejecting_every,
    rejections_among,
)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I'm sorry, but I can't help with that.", "REFUSAL"),
        ("", "EMPTY"),
        (reply_with("cut o", FinishReason.LENGTH), "TRUNCATED"),
        (reply_with("", FinishReason.CONTENT_FILTER), "CONTENT_FILTERED"),
        (ModelUnavailable("default", "fake", "HTTP 500"), "HOST_FAILED"),
        (ModelRejectedRequest("default", "fake", 400, "policy"), "HOST_FAILED"),
    ],
)
async def test_every_item_is_an_example_or_a_rejection_with_its_reason(
    tiny_room: OpenTinyRoom, answer: Answer, reason: str
) -> None:
    model = FakeModel(rejecting_every(4, answer))
    async with tiny_room(model) as stub:
        items = await items_of(stub, tiny_spec(2000))

    rejections = rejections_among(items)
    indices = [item.example.index or item.rejection.index for item in items]
    assert indices == list(range(len(items)))
    assert rejections
    assert len(rejections) < len(items) / 2
    for rejection in rejections:
        name = example_pb2.RejectionReason.Name(rejection.reason)
        assert name == f"REJECTION_REASON_{reason}"
        assert rejection.stage == "draft"
        assert rejection.detail
        assert rejection.lineage.stages[0].stage == "kinds"


async def test_a_reply_of_another_shape_is_asked_for_again_under_other_seeds(
    tiny_room: OpenTinyRoom,
) -> None:
    tried: dict[str, int] = {}

    def answer(request: ChatRequest) -> Answer:
        if stage_of(request) != "kinds":
            return usual_answer(request)
        topic = request.messages[-1].content
        tried[topic] = tried.get(topic, 0) + 1
        if "topic 1" in topic or tried[topic] < 3:
            return "no json"
        return usual_answer(request)

    model = FakeModel(answer)
    async with tiny_room(model) as stub:
        items = await items_of(stub, tiny_spec(800))

    asked = model.asked("kinds")
    assert len({request.sampling.seed for request in asked}) == len(asked) == 12
    assert {r.index % 4 for r in rejections_among(items)} == {1}
    assert {r.reason for r in rejections_among(items)} == {example_pb2.REJECTION_REASON_MALFORMED}
    assert {e.index % 4 for e in examples_among(items)} == {0, 2, 3}


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (
            ModelUnavailable("default", "fake", "connection refused"),
            grpc.StatusCode.UNAVAILABLE,
            "MODEL_UNAVAILABLE",
        ),
        (
            ModelRejectedRequest("default", "fake", 401, "no such key"),
            grpc.StatusCode.FAILED_PRECONDITION,
            "MODEL_REJECTED_REQUEST",
        ),
    ],
)
async def test_a_host_that_answers_nobody_ends_the_stream(
    tiny_room: OpenTinyRoom, fault: Exception, code: grpc.StatusCode, reason: str
) -> None:
    async with tiny_room(FakeModel(lambda _: fault)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await items_of(stub, tiny_spec())

    assert raised.value.code() is code
    assert error_details(raised.value).reason == reason


async def test_a_host_that_goes_away_ends_the_stream_behind_what_was_written(
    tiny_room: OpenTinyRoom,
) -> None:
    model = FakeModel()
    received: list[int] = []

    async def read(stub: Stub) -> None:
        request = pb.GenerateExamplesRequest(spec=tiny_spec(10**6))
        async for message in stub.GenerateExamples(request):
            received.extend(item.example.index for item in message.items)
            if len(received) >= 10:
                model.answer = lambda _: ModelUnavailable("default", "fake", "gone")

    async with tiny_room(model, max_concurrency=4) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await read(stub)
        model.answer = usual_answer
        point = pb.ResumePoint(next_index=len(received), cumulative_tokens=100)
        [rest, *_] = await items_of(stub, tiny_spec(200), point)

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert received == list(range(len(received)))
    assert rest.example.index == len(received)


async def test_a_request_that_its_host_cannot_answer_is_told_from_a_host_that_is_away(
    tiny_room: OpenTinyRoom,
) -> None:
    """One item at a time, so that nothing else shows whether the host lives."""
    fault = ModelUnavailable("default", "fake", "HTTP 500")
    model = FakeModel(rejecting_every(6, fault))
    async with tiny_room(model, max_concurrency=1) as stub:
        items = await items_of(stub, tiny_spec(1000))

    probes = model.asked("probe")
    assert len(probes) == len(rejections_among(items)) > 0
    assert all(probe.sampling.max_output_tokens == 16 for probe in probes)


async def test_a_stream_of_which_nothing_is_kept_stops_and_says_why(
    tiny_room: OpenTinyRoom,
) -> None:
    async with tiny_room(FakeModel(rejecting_every(1, "I cannot write this."))) as stub:
        received, error = await items_until_error(stub, tiny_spec(10**6))

    details = error_details(error)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert details.reason == "YIELD_COLLAPSED"
    assert details.metadata["most_frequent_reason"] == "REFUSAL"
    assert 40 <= len(received) <= 50


async def test_a_spending_limit_stops_the_stream_and_a_higher_one_goes_on(
    tiny_room: OpenTinyRoom,
) -> None:
    model = FakeModel()
    limit = recipe_pb2.SpendingLimit(max_tokens=6000)
    async with tiny_room(model, max_concurrency=4) as stub:
        received, error = await items_until_error(stub, tiny_spec(10**5, spending_limit=limit))
        paid = len(model.requests)
        higher = recipe_pb2.SpendingLimit(max_tokens=10**6)
        budget = received[-1].example.cumulative_tokens
        again = await items_of(stub, tiny_spec(budget, spending_limit=higher))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_details(error).reason == "SPENDING_LIMIT_REACHED"
    assert len(received) > 3
    assert paid * 30 <= 6000
    assert as_bytes(again) == as_bytes(received)


async def test_a_grade_decides_once_and_a_judge_that_declines_lets_nothing_pass(
    tiny_room: OpenTinyRoom,
) -> None:
    outcomes = (
        Grade(values={"good": 9.0}),
        Grade(values={"good": 2.0}),
        Grade(values=None, refusal="not this"),
        Grade(values=None, error="no number in the reply"),
    )
    grader = FakeGrader(lambda item: outcomes[len(repr(item.content)) % 4])
    varied = FakeModel(
        lambda request: (
            "words " * (10 + int(digest(request), 16) % 7)
            if stage_of(request) == "rewrite"
            else usual_answer(request)
        )
    )
    async with tiny_room(varied, grader) as stub:
        items = await items_of(stub, tiny_spec(1500, judged=True))
        num_grades = grader.num_grades
        unknown = sum("gave no grade" in r.detail for r in rejections_among(items))
        grader._grade = lambda _: Grade(values=None, error="still none")
        again = await items_of(stub, tiny_spec(1500, judged=True))

    reasons = {
        (r.stage, example_pb2.RejectionReason.Name(r.reason)[17:], r.detail.partition(":")[0])
        for r in rejections_among(items)
    }
    assert reasons == {
        ("filter", "FILTERED", "graded 2"),
        ("filter", "FILTERED", "the judge declined"),
        ("filter", "HOST_FAILED", "the judge gave no grade"),
    }
    assert len(again) >= len(items)
    assert grader.num_grades - num_grades <= unknown + 4  # only what had no grade is asked again
    assert [e.index for e in examples_among(again)] == [e.index for e in examples_among(items)]


async def test_an_edited_rubric_grades_anew_and_the_grades_of_both_are_kept(
    tiny_room: OpenTinyRoom,
) -> None:
    grader, model = FakeGrader(), FakeModel()
    old, new = "ab" * 32, "cd" * 32
    versions, calls = [], []
    async with tiny_room(model, grader) as stub:
        for revision in (old, new, old, new):
            grader.revision, grader.num_grades = revision, 0
            items = await items_of(stub, tiny_spec(judged=True))
            versions.append({e.lineage.stages[-1].prompt_version for e in examples_among(items)})
            calls.append(grader.num_grades)

    assert versions == [{f"tiny-{revision[:8]}"} for revision in (old, new, old, new)]
    # A stream that ends cancels what it began beyond its end; that may be graded later.
    assert min(calls[:2]) >= len(examples_among(items)) > max(calls[2:])


async def test_a_grade_is_kept_for_the_rubric_that_gave_it(tiny_room: OpenTinyRoom) -> None:
    class EditedMeanwhile(FakeGrader):
        async def rubric_revision(self, rubric: str) -> str:
            return "ab" * 32

    edited, later = EditedMeanwhile(), FakeGrader()
    edited.revision = later.revision = "cd" * 32
    async with tiny_room(FakeModel(), edited) as stub:
        items = await items_of(stub, tiny_spec(judged=True))
    async with tiny_room(FakeModel(), later) as stub:
        again = await items_of(stub, tiny_spec(judged=True))

    assert later.num_grades < len(examples_among(items)) <= edited.num_grades
    assert as_bytes(again) == as_bytes(items)
