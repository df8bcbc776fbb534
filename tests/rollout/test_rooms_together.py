"""The rollout and the judge as real processes, with real gRPC and HTTP between them."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
import pytest
import pytest_asyncio
from teachwhy.common.v1 import model_pb2
from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, rollout_service_pb2_grpc

from services.servicekit.channel import error_details, open_channel
from services.servicekit.series import READ_AHEAD
from tests.judge.records import ASK, TAKE, episode, executed
from tests.rollout.room_process import (
    ModelHost,
    RoomProcess,
    endpoints,
    model_host,
    room_process,
    until,
)

# One loop for all, because the judge keeps nothing and may serve them all.
pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_IDLE_MIB = 80
MAX_READY_SECONDS = 10  # the promise is 2 s on a quiet machine; the figure itself is printed
CONCURRENCY = 8
WINDOW = CONCURRENCY + READ_AHEAD
WORKPLACE = {
    "workplace-controls",
    *(
        f"workplace-{split}{twins}"
        for split in ("train-like", "near", "held-out")
        for twins in ("", "-twins")
    ),
}

_Rollout: TypeAlias = "rollout_service_pb2_grpc.RolloutServiceAsyncStub"
_Judge: TypeAlias = "judge_service_pb2_grpc.JudgeServiceAsyncStub"


@pytest_asyncio.fixture(loop_scope="module")
async def host() -> AsyncIterator[ModelHost]:
    async with model_host() as host:
        yield host


@pytest_asyncio.fixture(loop_scope="module")
async def room(host: ModelHost) -> AsyncIterator[RoomProcess]:
    async with room_process(
        "rollout", endpoints=endpoints(host), max_concurrency=str(CONCURRENCY)
    ) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="module")
async def own_rollout(room: RoomProcess) -> AsyncIterator[_Rollout]:
    """A room that nobody asked before, in front of ``host``."""
    async with open_channel(room.address) as channel:
        yield rollout_service_pb2_grpc.RolloutServiceStub(channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rollout() -> AsyncIterator[_Rollout]:
    """A room for all that leave it and its host as they were."""
    async with (
        model_host() as host,
        room_process("rollout", endpoints=endpoints(host)) as room,
        open_channel(room.address) as channel,
    ):
        yield rollout_service_pb2_grpc.RolloutServiceStub(channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge() -> AsyncIterator[_Judge]:
    async with room_process("judge") as room, open_channel(room.address) as channel:
        yield judge_service_pb2_grpc.JudgeServiceStub(channel)


def _series(
    model: str, *suites: str, start_index: int = 0, draws: int = 1
) -> rollout_service_pb2.RunEpisodesRequest:
    return rollout_service_pb2.RunEpisodesRequest(
        spec=episode_pb2.EpisodesSpec(
            suites=suites or ["microworld-held-out"],
            target=model_pb2.ModelRef(model=model),
            sampling=model_pb2.Sampling(temperature=0.7, seed=1),
            draws_per_scenario=draws,
        ),
        start_index=start_index,
    )


async def _run(
    rollout: _Rollout,
    request: rollout_service_pb2.RunEpisodesRequest,
) -> list[episode_pb2.Episode]:
    return [
        episode async for response in rollout.RunEpisodes(request) for episode in response.episodes
    ]


@pytest.mark.parametrize("name", ["judge", "rollout"])
async def test_a_room_is_light_and_ready_at_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with room_process(name) as room:
        rss_mib, ready_seconds = room.rss_mib, room.ready_seconds

    with capsys.disabled():
        print(f"\n{name}: idle {rss_mib:.0f} MiB, ready in {ready_seconds:.2f} s")  # noqa: T201
    assert rss_mib < MAX_IDLE_MIB
    assert ready_seconds < MAX_READY_SECONDS


def _to_be_judged(
    index: int, one: episode_pb2.Episode | None, *, rubric: str = ""
) -> judge_service_pb2.JudgeEpisodesRequest:
    item = judge_service_pb2.NumberedEpisode(index=index, episode=one)
    return judge_service_pb2.JudgeEpisodesRequest(rubric=rubric, episodes=[item])


@pytest.mark.parametrize(
    ("model", "conduct"),
    [("harmful", "CONDUCT_TOOK_ACTION"), ("cautious", "CONDUCT_USED_SAFE_CHANNEL")],
)
async def test_what_an_agent_does_reaches_the_verdict_through_both_rooms(
    rollout: _Rollout,
    judge: _Judge,
    model: str,
    conduct: str,
) -> None:
    request = _series(model, "microworld-held-out", "microworld-held-out-twins")
    episodes = await _run(rollout, request)

    async def items() -> AsyncIterator[judge_service_pb2.JudgeEpisodesRequest]:
        for each in episodes:
            yield _to_be_judged(each.index, each)

    verdicts = [
        each async for response in judge.JudgeEpisodes(items()) for each in response.verdicts
    ]

    assert [each.index for each in episodes] == list(range(60))
    assert [response.index for response in verdicts] == list(range(60))
    assert [each.id for each in episodes] == [each.verdict.episode_id for each in verdicts]
    conducts = {response.verdict.score.conduct for response in verdicts}
    assert conducts == {verdict_pb2.Conduct.Value(conduct)}


async def test_a_resumed_series_is_the_tail_of_the_whole_to_the_byte(
    rollout: _Rollout,
) -> None:
    whole = await _run(rollout, _series("harmful"))
    tail = await _run(rollout, _series("harmful", start_index=17))
    nothing = await _run(rollout, _series("harmful", start_index=30))

    assert [each.SerializeToString(deterministic=True) for each in tail] == [
        each.SerializeToString(deterministic=True) for each in whole[17:]
    ]
    assert nothing == []


async def test_one_episode_is_the_one_of_the_series(
    rollout: _Rollout,
) -> None:
    first, *_ = await _run(rollout, _series("harmful"))

    response = await rollout.RunEpisode(
        rollout_service_pb2.RunEpisodeRequest(
            scenario_id=first.scenario.id,
            target=model_pb2.ModelRef(model="harmful"),
            sampling=model_pb2.Sampling(temperature=0.7, seed=1),
        )
    )

    assert response.episode == first


async def test_cancelling_a_series_stops_the_model_calls(
    host: ModelHost, own_rollout: _Rollout
) -> None:
    host.is_open.clear()
    call = own_rollout.RunEpisodes(_series("harmful", draws=100))
    await until(lambda: host.asked == CONCURRENCY)

    call.cancel()
    await until(lambda: host.hung_up == CONCURRENCY)
    host.is_open.set()
    await _play_one(own_rollout)

    assert host.asked == CONCURRENCY + 1


async def _play_one(rollout: _Rollout) -> None:
    """Play a single episode, which takes its turn behind all model calls that still wait."""
    await rollout.RunEpisode(
        rollout_service_pb2.RunEpisodeRequest(
            scenario_id="w0/leak/photos/0", target=model_pb2.ModelRef(model="cautious")
        )
    )


async def test_a_caller_that_stops_reading_holds_back_the_model_calls_until_it_hangs_up(
    host: ModelHost, room: RoomProcess
) -> None:
    # Without this option gRPC widens its own window to some MiB on a fast link.
    narrow = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(room.address, options=narrow) as channel:
        rollout = rollout_service_pb2_grpc.RolloutServiceStub(channel)
        call = rollout.RunEpisodes(_series("harmful", draws=1000))
        async for _ in call:
            break
        asked = await _settled(host)
        assert WINDOW <= asked < 1000

        call.cancel()
        await _play_one(rollout)

        assert await _settled(host) == asked + 1


async def _settled(host: ModelHost) -> int:
    """The number of requests, once it has not grown for half a second."""
    before = -1
    while host.asked != before:
        before = host.asked
        await asyncio.sleep(0.5)
    return before


async def test_an_outage_ends_the_series_and_what_was_received_stays(
    host: ModelHost, own_rollout: _Rollout
) -> None:
    host.fails_after = 12
    received: list[int] = []

    async def receive() -> None:
        async for response in own_rollout.RunEpisodes(_series("harmful")):
            received.extend(each.index for each in response.episodes)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await receive()

    details = error_details(caught.value)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert details.reason == "MODEL_UNAVAILABLE"
    assert received == list(range(len(received)))
    assert len(received) <= 12


async def test_rejected_conversations_are_failed_episodes_and_grader_errors(
    rollout: _Rollout,
    judge: _Judge,
) -> None:
    episodes = await _run(rollout, _series("picky"))

    response = await judge.JudgeEpisode(judge_service_pb2.JudgeEpisodeRequest(episode=episodes[0]))

    assert {each.state for each in episodes} == {episode_pb2.EPISODE_STATE_MODEL_FAILED}
    assert "context too long" in episodes[0].state_detail
    reason = response.verdict.error.reason
    assert reason == verdict_pb2.GRADER_ERROR_REASON_EPISODE_FAILED


async def test_a_model_that_is_not_there_fails_the_call_and_no_episode(
    rollout: _Rollout,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _run(rollout, _series("nobody"))

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error_details(caught.value).metadata["http_status"] == "404"


async def test_wrong_values_come_back_with_their_field_paths(
    rollout: _Rollout,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _run(rollout, _series("http://elsewhere", "microworld-held-out", "nope"))

    details = error_details(caught.value)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert {each.field for each in details.violations} == {"spec.suites[1]", "spec.target.model"}


async def test_unknown_suites_and_scenarios_are_not_found(
    rollout: _Rollout,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as no_suite:
        await rollout.ListScenarios(rollout_service_pb2.ListScenariosRequest(suite="nope"))
    with pytest.raises(grpc.aio.AioRpcError) as no_scenario:
        await rollout.RunEpisode(
            rollout_service_pb2.RunEpisodeRequest(
                scenario_id="w0/a/b/0", target=model_pb2.ModelRef(model="m")
            )
        )

    assert no_suite.value.code() is grpc.StatusCode.NOT_FOUND
    assert no_scenario.value.code() is grpc.StatusCode.NOT_FOUND


async def test_lists_name_what_there_is(
    rollout: _Rollout,
    judge: _Judge,
) -> None:
    suites = await rollout.ListSuites(rollout_service_pb2.ListSuitesRequest())
    page = await rollout.ListScenarios(
        rollout_service_pb2.ListScenariosRequest(suite="microworld-held-out", world_seed=1)
    )
    rubrics = await judge.ListRubrics(judge_service_pb2.ListRubricsRequest())

    names = [suite.name for suite in suites.suites]
    assert names == sorted(names)
    assert [name for name in names if name.startswith("microworld")] == [
        "microworld-held-out",
        "microworld-held-out-twins",
        "microworld-matched",
        "microworld-matched-twins",
    ]
    assert {name for name in names if name.startswith("workplace")} == WORKPLACE
    assert (len(page.scenarios), page.next_page_token) == (30, "")
    assert page.scenarios[0].id == "w1/track/phone/0"
    assert "agentic-ledger" in {rubric.name for rubric in rubrics.rubrics}


async def test_an_unfit_item_never_ends_a_stream_of_verdicts(
    judge: _Judge,
) -> None:
    episodes = [episode(executed(TAKE)), episode_pb2.Episode(), episode(executed(ASK))]

    async def items() -> AsyncIterator[judge_service_pb2.JudgeEpisodesRequest]:
        for index, each in enumerate(episodes):
            yield _to_be_judged(index * 10, each)

    responses = [
        each async for response in judge.JudgeEpisodes(items()) for each in response.verdicts
    ]

    outcomes = [(each.index, each.verdict.WhichOneof("outcome")) for each in responses]
    assert outcomes == [(0, "score"), (10, "error"), (20, "score")]


@pytest.mark.parametrize(
    ("item", "field", "words"),
    [
        (_to_be_judged(7, None), "episodes[0].episode", "index 7"),
        (_to_be_judged(7, episode(), rubric="nope"), "rubric", "index 7"),
        (_to_be_judged(-1, episode()), "episodes[0].index", "index -1"),
        (judge_service_pb2.JudgeEpisodesRequest(), "episodes", "one episode or more"),
    ],
)
async def test_a_stream_ends_at_an_item_that_no_verdict_can_answer(
    judge: _Judge,
    item: judge_service_pb2.JudgeEpisodesRequest,
    field: str,
    words: str,
) -> None:
    async def items() -> AsyncIterator[judge_service_pb2.JudgeEpisodesRequest]:
        yield item

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [_ async for _ in judge.JudgeEpisodes(items())]

    (violation,) = error_details(caught.value).violations
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violation.field == field
    assert words in violation.description


async def test_a_single_judgement_needs_a_known_rubric_and_an_episode(judge: _Judge) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as no_rubric:
        await judge.JudgeEpisode(
            judge_service_pb2.JudgeEpisodeRequest(rubric="nope", episode=episode())
        )
    with pytest.raises(grpc.aio.AioRpcError) as no_episode:
        await judge.JudgeEpisode(judge_service_pb2.JudgeEpisodeRequest())

    assert no_rubric.value.code() is grpc.StatusCode.NOT_FOUND
    assert no_episode.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_episodes_calls_and_tokens_are_counted(
    room: RoomProcess, own_rollout: _Rollout
) -> None:
    await _run(own_rollout, _series("harmful"))

    text = await room.metrics()
    assert (
        'teachwhy_rollout_episodes_total{state="completed",suite="microworld-held-out"} 30.0'
        in text
    )
    assert 'teachwhy_rollout_calls_total{state="executed"} 30.0' in text
    assert 'teachwhy_rollout_tokens_total{direction="input"} 600.0' in text
