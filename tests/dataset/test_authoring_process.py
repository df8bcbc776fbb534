"""The room as a process and a model host over HTTP: faults of the host, and the room killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import dataset_service_pb2_grpc, example_pb2, recipe_pb2

from services.dataset.authoring.prompts import load_prompts
from tests.model_server import answers
from tests.model_server.answers import Answer, Reply
from tests.model_server.asked import Asked
from tests.model_server.sample import sample_reply
from tests.model_server.server import ModelServer

PAID_AGAIN_SECONDS = 1.0
PROMPTS = load_prompts("values-questions")


class RoomProcess:
    """A dataset room on ports and in folders of its own."""

    def __init__(self, folder: Path, server: ModelServer, protocol: str) -> None:
        endpoint = {
            "base_url": server.base_url,
            "protocol": protocol,
            "timeout_seconds": 2.0,
            "max_attempts": 3,
        }
        chosen = {
            "DATASET_PORT": "0",
            "DATASET_METRICS_PORT": "0",
            "DATASET_ENDPOINTS": json.dumps({"default": endpoint}),
            "DATASET_STORE__ROOT": str(folder / "store"),
            "DATASET_CACHE_FOLDER": str(folder / "cache"),
            "DATASET_MAX_CONCURRENCY": "16",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.dataset"],
            env={**os.environ, **chosen},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        ready = next(line for line in self.process.stdout if "server.ready" in line)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{json.loads(ready)['port']}")
        self.stub = dataset_service_pb2_grpc.DatasetServiceStub(self._channel)

    def end(self, *, kill: bool = False) -> None:
        (self.process.kill if kill else self.process.terminate)()
        self.process.communicate(timeout=30)
        self._channel.close()


StartRoom: TypeAlias = Callable[..., RoomProcess]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def start_room(tmp_path: Path, server: ModelServer) -> Iterator[StartRoom]:
    """Rooms that share a store; what the test leaves running is ended."""
    started: list[RoomProcess] = []

    def start(protocol: str = "openai") -> RoomProcess:
        started.append(RoomProcess(tmp_path, server, protocol))
        return started[-1]

    yield start
    for room in started:
        if room.process.poll() is None:
            room.end()


def _request(token_budget: int) -> pb.GenerateExamplesRequest:
    return pb.GenerateExamplesRequest(
        spec=recipe_pb2.DatasetSpec(
            recipe="values-questions",
            token_budget=token_budget,
            language_model=recipe_pb2.LanguageModelAuthor(
                model=model_pb2.ModelRef(model="some-model"), omitted_stages=["filter"]
            ),
        )
    )


def _items(messages: Iterable[pb.GenerateExamplesResponse]) -> Iterator[pb.DatasetItem]:
    for message in messages:
        yield from message.items


def _index(item: pb.DatasetItem) -> int:
    return item.example.index if item.HasField("example") else item.rejection.index


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_whatever_a_host_does_every_item_ends_done_or_rejected_with_its_reason(
    server: ModelServer, start_room: StartRoom, protocol: str
) -> None:
    passing = [
        answers.rate_limited("0"),
        answers.server_error(500),
        answers.server_error(503),
        answers.cut(),
        answers.truncated_body(),
        answers.other_json(),
        answers.hang(),
    ]
    final: list[tuple[Answer, str]] = [
        (answers.refusal(), "REFUSAL"),
        (answers.refusal_in_words(), "REFUSAL"),
        (answers.empty_reply(), "EMPTY"),
        (answers.content_filtered(), "CONTENT_FILTERED"),
        (answers.cut_off(), "TRUNCATED"),
        (answers.rejected(400), "HOST_FAILED"),
    ]
    if protocol == "anthropic":  # whose API knows no content filter
        final = [each for each in final if each[1] != "CONTENT_FILTERED"]
    server.inject(*passing, *(answer for answer, _ in final), when=_of_stage("answer"))
    room = start_room(protocol)

    items = list(_items(room.stub.GenerateExamples(_request(6000))))

    reasons = [
        example_pb2.RejectionReason.Name(item.rejection.reason).removeprefix("REJECTION_REASON_")
        for item in items
        if item.HasField("rejection")
    ]
    assert [_index(item) for item in items] == list(range(len(items)))
    assert sorted(reasons) == sorted(reason for _, reason in final)
    assert {item.rejection.stage for item in items if item.HasField("rejection")} == {"answer"}


def _of_stage(stage: str) -> Callable[[Asked], bool]:
    """Requests of a stage, told by the limit that its prompt alone sets."""
    limits = {name: each.max_output_tokens for name, each in PROMPTS.items()}
    assert list(limits.values()).count(limits[stage]) == 1
    return lambda asked: asked.body["max_tokens"] == limits[stage]


def test_after_a_kill_at_most_the_last_second_is_paid_again(
    server: ModelServer, start_room: StartRoom
) -> None:
    def slow(asked: Asked) -> Answer:
        reply = sample_reply(asked)
        assert isinstance(reply, Reply)
        return Reply(reply.text, delay_seconds=0.05)

    server.script = slow
    room = start_room()
    began = time.monotonic()
    before: list[bytes] = []
    for item in _items(room.stub.GenerateExamples(_request(10**7))):
        before.append(item.SerializeToString(deterministic=True))
        if time.monotonic() - began > 3 and len(before) > 30:
            break
    room.end(kill=True)
    killed_at = time.monotonic()

    other = start_room()
    after = other.stub.GenerateExamples(_request(10**7))
    received = islice(_items(after), len(before))
    again = [item.SerializeToString(deterministic=True) for item in received]
    after.cancel()

    # Read only now: a request that was on its way at the kill may arrive after it.
    first_asked: dict[str, float] = {}
    for asked, at in zip(server.asked, server.times, strict=False):  # some may arrive even now
        first_asked.setdefault(asked.digest, at)
    paid_again = [killed_at - first_asked[digest] for digest in server.repeated()]
    assert again == before
    assert all(age <= PAID_AGAIN_SECONDS + 0.5 for age in paid_again)
    assert len(paid_again) < sum(at < killed_at for at in first_asked.values())
