"""The judge as a real process that asks panels: in order, bounded, resumable, cancelled at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from teachwhy.common.v1 import model_pb2
from teachwhy.judge.v1 import judge_service_pb2 as pb
from teachwhy.judge.v1 import judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from services.judge.ordered import READ_AHEAD
from services.servicekit.channel import error_details, open_channel
from tests.judge.grading_room import CONCURRENCY, Stub, endpoints_at
from tests.judge.opinion_desk import CONDUCT, careful, harmful
from tests.model_server.answers import Reply, hang, refusal_in_words, server_error
from tests.model_server.server import ModelServer
from tests.rollout.room_process import RoomProcess, room_process, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED = model_pb2.ModelRef(endpoint="closed", model="m")
PATIENT = model_pb2.ModelRef(endpoint="patient", model="judge-1")


def panel(*members: model_pb2.ModelRef, **changes: Any) -> verdict_pb2.Panel:
    named = members or (model_pb2.ModelRef(model="judge-1"),)
    return verdict_pb2.Panel(**{"rubric": "agent-conduct", "members": named, **changes})


def numbered(index: int, record: episode_pb2.Episode | None = None) -> pb.NumberedEpisode:
    if record is None:
        record = harmful() if index % 3 == 0 else careful(said=f"I ask first, {index}.")
    return pb.NumberedEpisode(index=index, episode=record)


def batches(
    episodes: Iterable[pb.NumberedEpisode], size: int, **fields: Any
) -> Iterator[pb.JudgeEpisodesRequest]:
    waiting = list(episodes)
    for begin in range(0, len(waiting), size):
        yield pb.JudgeEpisodesRequest(episodes=waiting[begin : begin + size], **fields)


async def verdicts_of(
    judge: Stub, requests: Iterable[pb.JudgeEpisodesRequest]
) -> list[pb.NumberedVerdict]:
    responses = [response async for response in judge.JudgeEpisodes(iter(requests))]
    assert all(response.verdicts for response in responses)
    return [verdict for response in responses for verdict in response.verdicts]


async def held_open(*requests: pb.JudgeEpisodesRequest) -> AsyncIterator[pb.JudgeEpisodesRequest]:
    for request in requests:
        yield request
    await asyncio.Event().wait()


async def failure_of(judge: Stub, *requests: pb.JudgeEpisodesRequest) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in judge.JudgeEpisodes(held_open(*requests)):
            pass
    return caught.value


async def test_verdicts_come_in_order_each_with_opinions_beside_the_ledger(judge: Stub) -> None:
    found = await verdicts_of(
        judge, batches([numbered(index * 2) for index in range(150)], 7, panel=panel())
    )

    assert [each.index for each in found] == [index * 2 for index in range(150)]
    for each in found:
        took = each.index % 3 == 0
        (opinion,) = each.verdict.opinions
        assert opinion.answers.takes_bait == (4 if took else 1)
        assert each.verdict.score.conduct == (1 if took else 2)
        assert each.verdict.consensus.takes_bait == opinion.answers.takes_bait
        assert not each.verdict.consensus.disagrees_with_ledger


async def test_an_opinion_on_the_wire_says_who_was_asked_what(judge: Stub) -> None:
    response = await judge.JudgeEpisode(
        pb.JudgeEpisodeRequest(episode=harmful(), panel=panel(samples=2, reversed_too=True))
    )

    opinions = response.verdict.opinions
    asked = [(each.sample, each.is_reversed) for each in opinions]
    assert asked == [(0, False), (0, True), (1, False), (1, True)]
    first = opinions[0]
    assert (first.judge_model.endpoint, first.judge_model.model) == ("default", "judge-1")
    assert (first.rubric, first.rubric_revision) == ("agent-conduct", CONDUCT.revision)
    assert first.prompt_digest == CONDUCT.prompt_digest()
    assert "judge-1-2026-01-01" in first.model_revision
    assert set(first.answers.values) == {question.name for question in CONDUCT.questions}
    assert (first.answers.rationale, list(first.answers.reasons)) == ("It is so.", ["the goal"])
    assert (first.usage.input_tokens, first.usage.output_tokens) == (100, 20)
    consensus = response.verdict.consensus
    assert (consensus.num_answers, consensus.agreement) == (4, 1.0)
    assert (consensus.lowest, consensus.highest) == (4, 4)


async def test_messages_with_and_without_a_panel_may_follow_one_another(
    server: ModelServer, judge: Stub
) -> None:
    asked = server.num_requests
    requests = [
        *batches([numbered(0), numbered(1)], 2),
        *batches([numbered(2), numbered(3)], 2, panel=panel()),
        *batches([numbered(4)], 1),
    ]

    found = await verdicts_of(judge, requests)

    assert [each.index for each in found] == [0, 1, 2, 3, 4]
    assert [len(each.verdict.opinions) for each in found] == [0, 0, 1, 1, 0]
    assert [each.verdict.HasField("consensus") for each in found] == [0, 0, 1, 1, 0]
    assert server.num_requests == asked + 2


async def test_the_ledger_answers_each_message_at_once_and_asks_nobody(
    server: ModelServer, judge: Stub
) -> None:
    asked = server.num_requests
    call = judge.JudgeEpisodes(held_open(*batches(map(numbered, range(10)), 5)))
    responses = aiter(call)

    first, second = await anext(responses), await anext(responses)
    call.cancel()

    assert [len(each.verdicts) for each in (first, second)] == [5, 5]
    assert server.num_requests == asked


async def test_a_message_of_many_episodes_does_not_keep_others_waiting(judge: Stub) -> None:
    responses = [
        response async for response in judge.JudgeEpisodes(batches(map(numbered, range(200)), 200))
    ]

    assert [len(each.verdicts) for each in responses] == [64, 64, 64, 8]
    assert [each.index for response in responses for each in response.verdicts] == [*range(200)]


async def test_what_was_asked_once_is_not_paid_again_after_a_restart(
    server: ModelServer, tmp_path: Path
) -> None:
    settings = {
        "endpoints": endpoints_at(server),
        "store": json.dumps({"root": str(tmp_path / "store")}),
        "cache_folder": str(tmp_path / "copy"),
    }
    requests = [*batches(map(numbered, range(12)), 5, panel=panel(samples=2, reversed_too=True))]
    found, paid = [], []
    for _ in range(2):
        asked = server.num_requests
        async with room_process("judge", **settings) as room, open_channel(room.address) as channel:
            judge = judge_service_pb2_grpc.JudgeServiceStub(channel)
            found.append(await verdicts_of(judge, requests))
        paid.append(server.num_requests - asked)

    assert paid == [36, 0]  # four of the twelve are the same episode
    assert found[0] == found[1]


async def test_a_panel_of_several_is_asked_at_most_so_often_at_once(
    server: ModelServer, judge: Stub
) -> None:
    server.most_in_flight = 0
    other = model_pb2.ModelRef(endpoint="patient", model="judge-2")
    both = panel(PATIENT, other, samples=3)
    with server.held():
        streams = asyncio.gather(
            *(
                verdicts_of(judge, batches(map(numbered, range(20)), 20, panel=both))
                for _ in range(3)
            )
        )
        await until(lambda: server.in_flight == CONCURRENCY)
    found = await streams

    assert all(len(each.verdict.opinions) == 6 for verdicts in found for each in verdicts)
    assert server.most_in_flight == CONCURRENCY


async def test_cancelling_stops_all_calls_at_once_and_makes_no_more(
    server: ModelServer, judge: Stub
) -> None:
    asked = server.num_requests
    with server.held():
        episodes = [numbered(n, careful(said=f"cancelled {n}")) for n in range(200)]
        call = judge.JudgeEpisodes(batches(episodes, 16, panel=panel(PATIENT, samples=4)))
        reading = asyncio.ensure_future(anext(aiter(call)))
        await until(lambda: server.in_flight == CONCURRENCY)

        call.cancel()
        await until(lambda: server.in_flight == 0)
        await asyncio.wait((reading,))
    await verdicts_of(judge, batches([numbered(0)], 1, panel=panel()))

    assert reading.cancelled()
    assert server.num_requests == asked + CONCURRENCY + 1


async def test_a_single_verdict_that_nobody_waits_for_stops_its_calls(
    server: ModelServer, judge: Stub
) -> None:
    asked = server.num_requests
    with server.held():
        request = pb.JudgeEpisodeRequest(
            episode=careful(said="waited"), panel=panel(PATIENT, samples=5)
        )
        call = judge.JudgeEpisode(request)
        await until(lambda: server.in_flight == 5)
        call.cancel()
        await until(lambda: server.in_flight == 0)

    assert server.num_requests == asked + 5


async def test_a_caller_that_stops_reading_holds_back_the_calls(
    server: ModelServer, room: RoomProcess
) -> None:
    asked = server.num_requests
    narrow = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(room.address, options=narrow) as channel:
        judge = judge_service_pb2_grpc.JudgeServiceStub(channel)
        episodes = [numbered(n, careful(said=f"unread {n}")) for n in range(2000)]
        call = judge.JudgeEpisodes(batches(episodes, 10, panel=panel()))
        async for _ in call:
            break
        made = await _settled(server)
        call.cancel()

    assert CONCURRENCY + READ_AHEAD <= made - asked < 1000


async def _settled(server: ModelServer) -> int:
    """The number of requests, once it has not grown for half a second."""
    before = -1
    while server.num_requests != before:
        before = server.num_requests
        await asyncio.sleep(0.5)
    return before


@pytest.mark.parametrize(
    ("spoil", "outcome", "opinions"),
    [
        (lambda e: setattr(e, "schema_version", 99), "error", 0),
        (lambda e: e.ClearField("transcript"), "error", 0),
        (lambda e: e.CopyFrom(episode_pb2.Episode()), "error", 0),
        (lambda e: setattr(e.transcript[0], "content", "a" * 5_000_000), "score", 1),
    ],
)
async def test_an_episode_that_cannot_be_judged_is_told_and_the_stream_goes_on(
    judge: Stub, spoil: Any, outcome: str, opinions: int
) -> None:
    episodes = [numbered(0), numbered(1, harmful(spoil)), numbered(2)]

    found = await verdicts_of(judge, batches(episodes, 3, panel=panel()))

    assert [each.verdict.WhichOneof("outcome") for each in found] == ["score", outcome, "score"]
    assert len(found[1].verdict.opinions) == opinions
    assert all(opinion.HasField("error") for opinion in found[1].verdict.opinions)
    assert all(found[n].verdict.opinions[0].HasField("answers") for n in (0, 2))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (refusal_in_words(), "refusal"),
        (Reply("the agent is fine"), "error"),
        (server_error(500), "error"),
        (hang(), "error"),
    ],
)
async def test_what_a_judge_does_wrong_about_one_episode_stays_there(
    server: ModelServer, judge: Stub, answer: Any, outcome: str
) -> None:
    server.inject(*[answer] * 3, when="spoiled one")
    episodes = [numbered(n, careful(said="a spoiled one" if n == 9 else "")) for n in range(30)]

    found = await verdicts_of(judge, batches(episodes, 8, panel=panel()))

    outcomes = [each.verdict.opinions[0].WhichOneof("outcome") for each in found]
    assert [n for n, each in enumerate(outcomes) if each != "answers"] == [9]
    assert outcomes[9] == outcome
    assert found[9].verdict.HasField("score")
    server.heal()


async def test_a_host_that_is_away_fails_the_stream_after_what_came_before(judge: Stub) -> None:
    received: list[int] = []
    requests = [
        *batches([numbered(0), numbered(1)], 2, panel=panel()),
        *batches([numbered(2)], 1, panel=panel(CLOSED)),
    ]

    async def receive() -> None:
        async for response in judge.JudgeEpisodes(held_open(*requests)):
            received.extend(each.index for each in response.verdicts)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await receive()

    details = error_details(caught.value)
    assert (details.code, details.reason) == ("UNAVAILABLE", "MODEL_UNAVAILABLE")
    assert received == [0, 1]
    left = [numbered(n) for n in range(4) if n not in received]
    resumed = await verdicts_of(judge, batches(left, 2, panel=panel()))
    assert [each.index for each in resumed] == [2, 3]


@pytest.mark.parametrize(
    ("asked", "code", "field", "told"),
    [
        (panel(rubric=""), "INVALID_ARGUMENT", "panel.rubric", "is required"),
        (panel(rubric="bait-taken"), "INVALID_ARGUMENT", "panel.rubric", "asks for no opinions"),
        (panel(rubric="agentic-ledger"), "INVALID_ARGUMENT", "panel.rubric", "no opinions"),
        (panel(rubric="nope"), "NOT_FOUND", "", 'no rubric named "nope"'),
        (verdict_pb2.Panel(rubric="agent-conduct"), "INVALID_ARGUMENT", "panel.members", "1 to 9"),
        (panel(*[PATIENT] * 10), "INVALID_ARGUMENT", "panel.members", "1 to 9"),
        (panel(PATIENT, PATIENT), "INVALID_ARGUMENT", "panel.members[1]", "twice"),
        (
            panel(model_pb2.ModelRef(model="m"), model_pb2.ModelRef(endpoint="default", model="m")),
            "INVALID_ARGUMENT",
            "panel.members[1]",
            "twice",
        ),
        (panel(model_pb2.ModelRef()), "INVALID_ARGUMENT", "panel.members[0].model", "must be"),
        (
            panel(model_pb2.ModelRef(endpoint="nope", model="m")),
            "NOT_FOUND",
            "",
            'no endpoint named "nope"',
        ),
        (panel(samples=10), "INVALID_ARGUMENT", "panel.samples", "1 to 9"),
        (panel(samples=-1), "INVALID_ARGUMENT", "panel.samples", "1 to 9"),
    ],
)
async def test_a_panel_that_is_none_fails_the_call_with_its_field(
    judge: Stub, asked: verdict_pb2.Panel, code: str, field: str, told: str
) -> None:
    many = error_details(await failure_of(judge, *batches([numbered(7)], 1, panel=asked)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await judge.JudgeEpisode(pb.JudgeEpisodeRequest(episode=harmful(), panel=asked))
    one = error_details(caught.value)

    for details in (many, one):
        assert details.code == code
        assert [each.field for each in details.violations] == ([field] if field else [])
        assert told in details.message
    if field:
        assert "index 7: " in many.message


async def test_a_rubric_for_opinions_is_asked_through_a_panel_only(judge: Stub) -> None:
    request = pb.JudgeEpisodesRequest(rubric="agent-conduct", episodes=[numbered(0)])

    details = error_details(await failure_of(judge, request))

    assert (details.code, details.violations[0].field) == ("INVALID_ARGUMENT", "rubric")
    assert "name it in panel.rubric" in details.message


async def test_opinions_are_counted(judge: Stub, room: RoomProcess) -> None:
    await verdicts_of(judge, batches([numbered(0)], 1, panel=panel()))

    told = await room.metrics()

    for line in (
        'teachwhy_judge_opinions_total{outcome="answered",rubric="agent-conduct"}',
        'teachwhy_judge_opinion_grades_total{rubric="agent-conduct",takes_bait="executed"}',
        'teachwhy_judge_tokens_total{direction="input",rubric="agent-conduct"}',
        'teachwhy_judge_verdicts_total{outcome="took_action",rubric="agentic-ledger"}',
    ):
        assert line in told
