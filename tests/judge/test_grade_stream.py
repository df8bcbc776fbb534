"""The judge as a real process that grades texts: in order, counted, not further than needed."""

import asyncio

import grpc
import pytest
from teachwhy.common.v1 import conversation_pb2, model_pb2
from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc, verdict_pb2

from services.judge.ordered import READ_AHEAD
from tests.judge.grading_room import CONCURRENCY, Stub, grades_of, request
from tests.judge.judges import text_in
from tests.model_server.answers import Reply, empty_reply
from tests.model_server.server import ModelServer
from tests.rollout.room_process import RoomProcess, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_grades_come_in_order_each_with_its_index(judge: Stub) -> None:
    requests = [request(index * 3) for index in range(100)]

    responses = [response async for response in judge.GradeTexts(iter(requests))]

    assert [response.index for response in responses] == [each.index for each in requests]
    grade = responses[7].grade
    assert dict(grade.scores.values) == {
        "quality": 1.0,
        "reasons_present": 0.0,
        "lecture": 0.0,
        "factual_scaffold_leak": 0.0,
    }
    assert grade.scores.rationale == "It is so."
    assert (grade.rubric, grade.judge_model.model) == ("example-quality", "judge-1")
    assert grade.judge_model.endpoint == "default"
    assert "judge-1-2026-01-01" in grade.model_revision
    assert (grade.usage.input_tokens, grade.usage.output_tokens) == (100, 20)


async def test_conversations_references_and_other_protocols_are_graded(
    server: ModelServer, judge: Stub
) -> None:
    transcript = judge_service_pb2.Transcript(
        messages=[
            conversation_pb2.Message(role=conversation_pb2.ROLE_USER, content="What now?"),
            conversation_pb2.Message(role=conversation_pb2.ROLE_ASSISTANT, content="I ask first."),
        ]
    )
    anthropic = model_pb2.ModelRef(endpoint="claude", model="judge-2")

    grades = await grades_of(
        judge,
        [
            request(0, document=None, transcript=transcript, rubric="bait-taken"),
            request(1, rubric="document-fidelity", reference="Be kind.", judge_model=anthropic),
            request(2, rubric="story-motifs"),
        ],
    )

    assert [sorted(grade.scores.values) for grade in grades] == [
        ["bait_taken", "deliberation"],
        ["fidelity", "world_facts_invented"],
        ["evaluation_motif"],
    ]
    asked = next(each for each in server.asked if "I ask first." in each.last)
    assert "turn 1, user -----\nWhat now?\n" in text_in(asked.last)


async def test_an_unusable_reply_costs_a_second_one_and_the_grade_counts_both(
    server: ModelServer, judge: Stub
) -> None:
    server.inject(Reply("hm", input_tokens=7, output_tokens=3), when="mumbled at")

    (grade,) = await grades_of(judge, [request(0, "mumbled at")])

    assert grade.HasField("scores")
    assert (grade.usage.input_tokens, grade.usage.output_tokens) == (107, 23)


async def test_every_kind_of_rubric_is_listed_by_name(judge: Stub) -> None:
    response = await judge.ListRubrics(judge_service_pb2.ListRubricsRequest())

    names = [rubric.name for rubric in response.rubrics]
    assert names == sorted(names)
    assert {"agentic-ledger", "example-quality"} <= set(names)
    quality = next(rubric for rubric in response.rubrics if rubric.name == "example-quality")
    assert "quality (whole number, 1 to 10)" in quality.description
    assert len({rubric.revision for rubric in response.rubrics}) == len(names)
    kinds = {rubric.name: rubric.kind for rubric in response.rubrics}
    assert kinds.pop("agentic-ledger") == verdict_pb2.RUBRIC_KIND_EPISODES
    assert kinds.pop("agent-conduct") == verdict_pb2.RUBRIC_KIND_OPINIONS
    assert set(kinds.values()) == {verdict_pb2.RUBRIC_KIND_TEXTS}


async def test_no_more_calls_are_made_at_once_than_set_and_cancelling_stops_them(
    server: ModelServer, judge: Stub
) -> None:
    patient = model_pb2.ModelRef(endpoint="patient", model="judge-1")
    asked = server.num_requests
    with server.held():
        requests = [request(n, f"cancelled {n}", judge_model=patient) for n in range(500)]
        call = judge.GradeTexts(iter(requests))
        reading = asyncio.ensure_future(anext(aiter(call)))
        await until(lambda: server.in_flight == CONCURRENCY)

        call.cancel()
        await until(lambda: server.in_flight == 0)
        await asyncio.wait((reading,))
    await grades_of(judge, [request(0, "after the cancelled")])

    assert reading.cancelled()
    assert server.num_requests == asked + CONCURRENCY + 1


async def test_a_caller_that_stops_reading_holds_back_the_calls(
    server: ModelServer, room: RoomProcess
) -> None:
    asked = server.num_requests
    # Without this option gRPC widens its own window to some MiB on a fast link.
    narrow = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(room.address, options=narrow) as channel:
        judge = judge_service_pb2_grpc.JudgeServiceStub(channel)
        server.inject(*[Reply("x" * 400)] * 3000, when="unread")
        call = judge.GradeTexts(request(n, f"unread {n}") for n in range(3000))
        async for _ in call:
            break
        made = await _settled(server)
        call.cancel()
    server.heal()

    assert CONCURRENCY + READ_AHEAD <= (made - asked) / 3 < 1500


async def _settled(server: ModelServer) -> int:
    """The number of requests, once it has not grown for half a second."""
    before = -1
    while server.num_requests != before:
        before = server.num_requests
        await asyncio.sleep(0.5)
    return before


async def test_what_happened_is_counted(
    judge: Stub, server: ModelServer, room: RoomProcess
) -> None:
    server.inject(empty_reply(), when="counted")
    await grades_of(judge, [request(0, "counted", rubric="story-motifs")])

    metrics = await room.metrics()

    for line in (
        'teachwhy_judge_grades_total{outcome="scored",rubric="story-motifs"}',
        'teachwhy_judge_unusable_replies_total{fault="empty",rubric="story-motifs"}',
        'teachwhy_judge_tokens_total{direction="output",rubric="story-motifs"}',
    ):
        assert line in metrics
