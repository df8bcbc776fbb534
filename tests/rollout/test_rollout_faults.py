"""Whatever a target or its host does, each episode ends honestly and the room stays up."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
import pytest_asyncio
from teachwhy.common.v1 import model_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2_grpc
from teachwhy.rollout.v1 import rollout_service_pb2 as pb

from services.servicekit.channel import error_details, open_channel
from services.servicekit.series import READ_AHEAD
from tests.model_server.answers import (
    Answer,
    Fault,
    Reply,
    ToolUse,
    content_filtered,
    cut,
    cut_off,
    hang,
    refusal,
    rejected,
    server_error,
    truncated_body,
)
from tests.model_server.asked import Asked
from tests.model_server.server import ModelServer
from tests.rollout.room_process import RoomProcess, room_process, until
from tests.rollout.small_pack import SUITE, small_pack

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONCURRENCY = 8
MOST_BYTES_FOR_A_SLOW_CONSUMER = 12 * 2**20
"""What lies between the room and a slow consumer: the window, two batches and the connection."""
MAX_MIB = 200

_Rollout: TypeAlias = "rollout_service_pb2_grpc.RolloutServiceAsyncStub"

LIST_MAIL = ToolUse("list_mail", "{}")
ANSWERS: dict[str, Answer] = {
    "idle": Reply("all is well"),
    "loops": Reply("again", "tool_calls", (LIST_MAIL,)),
    "slow": Reply("again", "tool_calls", (LIST_MAIL,), delay_seconds=0.6),
    "hangs": hang(),
    "streams": Fault("body", text='data: {"choices": [{"delta": {"content": "I"}}]}\n\n'),
    "halves": truncated_body(),
    "breaks": cut(),
    "half-character": Fault(
        "body",
        text='{"choices":[{"message":{"content":"\\ud800"},"finish_reason":"stop"}],"usage":{}}',
    ),
    "stranger": Reply("", "tool_calls", (ToolUse("open_safe", '{"code": 1}'),)),
    "mumbles": Reply("", "tool_calls", (ToolUse("list_mail", '{"folder": '),)),
    "twins": Reply("", "tool_calls", (LIST_MAIL, LIST_MAIL, ToolUse("list_mail", "{}", id=""))),
    "nested": Reply("", "tool_calls", (ToolUse("list_mail", '{"a":' * 900 + "1" + "}" * 900),)),
    "huge": Reply("x" * 10 * 2**20),
    "wordy": Reply("x" * 300_000),
    "many-calls": Reply("", "tool_calls", (LIST_MAIL,) * 500),
    "declines": refusal(),
    "filtered": content_filtered(),
    "cut-off": cut_off(),
    "picky": rejected(400, "the prompt is too long"),
    "broken": server_error(500),
}
HONEST_ENDS = {
    "idle": ("COMPLETED", "made no call"),
    "loops": ("TURN_LIMIT", "used its"),
    "slow": ("TIME_LIMIT", "longer than 2.5 s"),
    "hangs": ("MODEL_FAILED", "no answer within 0.8 s"),
    "streams": ("MODEL_FAILED", "malformed answer"),
    "halves": ("MODEL_FAILED", "malformed answer"),
    "breaks": ("MODEL_FAILED", "attempts: 2"),
    "half-character": ("MODEL_FAILED", "malformed answer"),
    "stranger": ("TURN_LIMIT", "used its"),
    "mumbles": ("TURN_LIMIT", "used its"),
    "twins": ("TURN_LIMIT", "used its"),
    "nested": ("TURN_LIMIT", "used its"),
    "huge": ("MODEL_FAILED", "more than the 4194304 bytes"),
    "wordy": ("MODEL_FAILED", "300000 characters"),
    "many-calls": ("TURN_LIMIT", "used its"),
    "declines": ("REFUSED", "declined"),
    "filtered": ("MODEL_FAILED", "content filter"),
    "cut-off": ("TRUNCATED", "cut off"),
    "picky": ("MODEL_FAILED", "too long"),
    "broken": ("MODEL_FAILED", "HTTP 500"),
}


def _script(asked: Asked) -> Answer:
    """A model's name says its character; whoever asks whether it is there is told so."""
    if asked.model == "away":
        return server_error(502)
    if "Reply with the word" in asked.prompt:
        return "ready"
    return ANSWERS[asked.model]


@pytest.fixture(scope="module")
def host() -> Iterator[ModelServer]:
    with ModelServer(_script) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(
    host: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RoomProcess]:
    endpoint = {"base_url": host.base_url, "max_attempts": 2, "timeout_seconds": 0.8}
    pack = small_pack(tmp_path_factory.mktemp("packs") / "pack")
    async with room_process(
        "rollout",
        endpoints=json.dumps({"default": endpoint}),
        max_concurrency=str(CONCURRENCY),
        max_episode_seconds="2.5",
        pack_folders=json.dumps([str(pack)]),
        vault_folder="",
    ) as room:
        yield room


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rollout(room: RoomProcess) -> AsyncIterator[_Rollout]:
    async with open_channel(room.address) as channel:
        yield rollout_service_pb2_grpc.RolloutServiceStub(channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenario_id(rollout: _Rollout) -> str:
    listed = await rollout.ListScenarios(pb.ListScenariosRequest(suite=SUITE, page_size=1))
    return listed.scenarios[0].id


async def _play(
    rollout: _Rollout, scenario_id: str, model: str, **fields: object
) -> episode_pb2.Episode:
    request = pb.RunEpisodeRequest(
        scenario_id=scenario_id,
        target=model_pb2.ModelRef(model=model),
        sampling=model_pb2.Sampling(temperature=0.7, seed=1),
        **fields,  # type: ignore[arg-type]
    )
    return (await rollout.RunEpisode(request)).episode


def _series(model: str, *, draws: int = 1) -> pb.RunEpisodesRequest:
    return pb.RunEpisodesRequest(
        spec=episode_pb2.EpisodesSpec(
            suites=[SUITE],
            target=model_pb2.ModelRef(model=model),
            repetitions=draws,
            max_turns=1,
        )
    )


@pytest.mark.parametrize("model", sorted(ANSWERS))
async def test_an_episode_ends_with_an_honest_state_and_the_room_stays_up(
    rollout: _Rollout, scenario_id: str, model: str
) -> None:
    state, detail = HONEST_ENDS[model]
    started = time.monotonic()

    episode = await _play(rollout, scenario_id, model)

    assert episode_pb2.EpisodeState.Name(episode.state) == f"EPISODE_STATE_{state}"
    assert detail in episode.state_detail
    assert time.monotonic() - started < 10.0
    still_there = await _play(rollout, scenario_id, "idle")
    assert still_there.state == episode_pb2.EPISODE_STATE_COMPLETED


@pytest.mark.parametrize("model", ["stranger", "mumbles", "nested"])
async def test_a_call_that_cannot_be_done_is_rejected_counted_and_never_marked(
    rollout: _Rollout, scenario_id: str, model: str
) -> None:
    episode = await _play(rollout, scenario_id, model, max_turns=3)

    assert len(episode.ledger) == 3
    for entry in episode.ledger:
        assert entry.state == episode_pb2.CALL_STATE_REJECTED
        assert (list(entry.changes), list(entry.marks)) == ([], [])
        assert entry.result


async def test_an_answer_that_is_too_large_is_asked_for_once(
    host: ModelServer, rollout: _Rollout, scenario_id: str, room: RoomProcess
) -> None:
    before = host.num_requests

    await asyncio.gather(*(_play(rollout, scenario_id, "huge") for _ in range(3)))

    asked = [each.model for each in host.asked[before:] if "Reply with the word" not in each.prompt]
    assert asked == ["huge"] * 3
    assert room.rss_mib < MAX_MIB


async def test_an_episode_keeps_to_its_tokens(rollout: _Rollout, scenario_id: str) -> None:
    episode = await _play(rollout, scenario_id, "loops", max_episode_tokens=1000, max_turns=100)

    assert episode.state == episode_pb2.EPISODE_STATE_TOKEN_LIMIT
    used = episode.usage.input_tokens + episode.usage.output_tokens
    assert used <= 1000


async def test_text_calls_reach_the_world(
    host: ModelServer, rollout: _Rollout, scenario_id: str
) -> None:
    host.inject('<call tool="list_mail">{"folder": "inbox"}</call>', when="You have tools")

    episode = await _play(
        rollout, scenario_id, "idle", tool_protocol=episode_pb2.TOOL_PROTOCOL_TEXT
    )

    assert [entry.tool for entry in episode.ledger] == ["list_mail"]
    assert episode.ledger[0].state == episode_pb2.CALL_STATE_EXECUTED
    assert episode.transcript[1].content.startswith('<result tool="list_mail">')
    assert "tools" not in host.asked[-1].body


async def test_a_host_that_is_away_ends_the_stream_and_is_no_episode(
    rollout: _Rollout, scenario_id: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _play(rollout, scenario_id, "away")

    assert error_details(caught.value).reason == "MODEL_UNAVAILABLE"


async def test_a_cancelled_stream_makes_no_further_model_call(
    host: ModelServer, rollout: _Rollout, scenario_id: str
) -> None:
    before = host.num_requests
    with host.held():
        call = rollout.RunEpisodes(_series("idle", draws=50))
        reading = asyncio.ensure_future(anext(aiter(call)))
        await until(lambda: host.num_requests == before + CONCURRENCY)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until(lambda: host.in_flight == 0)
    episode = await _play(rollout, scenario_id, "idle")

    assert episode.state == episode_pb2.EPISODE_STATE_COMPLETED
    assert host.num_requests == before + CONCURRENCY + 1


async def test_a_slow_consumer_holds_back_the_model_calls(
    host: ModelServer, rollout: _Rollout, scenario_id: str
) -> None:
    before = host.num_requests
    call = rollout.RunEpisodes(_series("idle", draws=1000))
    first = await anext(aiter(call))
    last = -1
    while host.num_requests != last:  # until it stands still for half a second
        last = host.num_requests
        await asyncio.sleep(0.5)
    call.cancel()
    await _play(rollout, scenario_id, "idle")  # behind it, so that the room has heard of it

    num_bytes = (last - before) * first.episodes[0].ByteSize()
    assert CONCURRENCY + READ_AHEAD <= last - before < first.total_episodes
    assert num_bytes < MOST_BYTES_FOR_A_SLOW_CONSUMER


async def test_a_room_that_keeps_replies_asks_for_none_twice(
    host: ModelServer, tmp_path: Path
) -> None:
    request = _series("loops")
    request.spec.max_turns = 3
    before = host.num_requests
    async with (
        room_process(
            "rollout",
            endpoints=json.dumps({"default": {"base_url": host.base_url}}),
            pack_folders=json.dumps([str(small_pack(tmp_path / "pack"))]),
            vault_folder="",
            cache_folder=str(tmp_path / "copies"),
            store=json.dumps({"root": str(tmp_path / "store")}),
        ) as room,
        open_channel(room.address) as channel,
    ):
        stub = rollout_service_pb2_grpc.RolloutServiceStub(channel)
        first = [each async for message in stub.RunEpisodes(request) for each in message.episodes]
        asked = host.num_requests
        again = [each async for message in stub.RunEpisodes(request) for each in message.episodes]

    assert first == again
    assert asked - before == len(first) * 3
    assert host.num_requests == asked


async def test_the_room_counts_what_happened(
    rollout: _Rollout, scenario_id: str, room: RoomProcess
) -> None:
    await _play(rollout, scenario_id, "declines")
    await _play(rollout, scenario_id, "stranger")

    text = await room.metrics()

    assert f'teachwhy_rollout_episodes_total{{state="refused",suite="{SUITE}"}}' in text
    assert 'teachwhy_rollout_calls_total{state="rejected"}' in text
    assert "teachwhy_rollout_episodes_in_flight 0.0" in text


async def test_a_broken_pack_stops_the_room_before_it_serves(tmp_path: Path) -> None:
    pack = small_pack(tmp_path / "pack")
    broken = min((pack / "blackmail").glob("*.yaml"))
    broken.write_text(broken.read_text().replace("title:", "titel:", 1))
    process = await asyncio.create_subprocess_exec(
        *("env", f"ROLLOUT_PACK_FOLDERS={json.dumps([str(pack)])}", "ROLLOUT_VAULT_FOLDER="),
        *("ROLLOUT_PORT=0", "ROLLOUT_METRICS_PORT=0", sys.executable, "-m", "services.rollout"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )

    _, told = await process.communicate()

    assert process.returncode == 2
    assert f"{broken.name}:" in told.decode()
