"""The dataset room's way to a judge that is a real process, may be killed, and may refuse."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.dataset import judge_client
from services.dataset.example import Conversation
from services.dataset.grading import Grader
from services.dataset.judge_client import JudgeClient
from services.servicekit.chat import ModelRef
from services.servicekit.conversation import Message, Role
from services.servicekit.errors import (
    InvalidField,
    ModelRejectedRequest,
    ResourceNotFound,
    ServiceError,
)
from tests.judge.judge_process import judge_process
from tests.judge.judges import graded
from tests.judge.scripted_judge import item, items, quality
from tests.model_server.answers import Answer, Reply, rejected
from tests.model_server.asked import Asked
from tests.model_server.server import ModelServer


def _judge(asked: Asked) -> Answer:
    # The number of the text comes back as its quality, so that grades tell whose they are.
    number = int(asked.last.partition("text number ")[2].split()[0])
    return Reply(graded(asked.last, {**_ANSWERS, "quality": number % 10 + 1}))


_ANSWERS = {"quality": 1, "reasons_present": 0, "lecture": 0, "factual_scaffold_leak": 0}


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ModelServer]:
    with ModelServer(_judge) as server:
        yield server


def endpoints_at(server: ModelServer) -> str:
    return json.dumps({"default": {"base_url": server.base_url, "max_attempts": 1}})


async def test_grades_of_a_real_judge_come_in_order(server: ModelServer) -> None:
    turns = (
        Message(role=Role.USER, content="text number 4 ?"),
        Message(role=Role.ASSISTANT, content="Yes."),
    )
    async with (
        judge_process(endpoints=endpoints_at(server)) as process,
        JudgeClient(process.address) as client,
    ):
        grader: Grader = client
        qualities = [quality(grade) async for grade in grader.grade_texts(items(60))]
        single = await grader.grade(item(0, Conversation(messages=turns)))
        revision = await grader.rubric_revision("example-quality")

    assert qualities == [float(number % 10 + 1) for number in range(60)]
    assert quality(single) == 5.0
    assert len(single.rubric_revision) == 64
    assert single.rubric_revision == revision
    assert "judge-1" in single.model_revision
    assert single.usage.output_tokens > 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_judge_that_is_killed_costs_only_what_was_on_its_way(
    number: signal.Signals, server: ModelServer
) -> None:
    before, qualities = server.num_requests, list[float]()
    async with (
        judge_process(endpoints=endpoints_at(server), max_concurrency="4") as process,
        JudgeClient(process.address) as client,
        aclosing(client.grade_texts(items(150))) as grades,
    ):
        async for grade in grades:
            qualities.append(quality(grade))
            if len(qualities) == 50:
                await process.end(number)
                await process.start()

    assert qualities == [float(n % 10 + 1) for n in range(150)]
    assert server.num_requests - before < 150 + judge_client.WINDOW


async def test_a_judge_that_keeps_replies_pays_at_most_its_last_second_again(
    server: ModelServer, tmp_path: Path
) -> None:
    before, qualities = server.num_requests, list[float]()
    keeping = {
        "store": json.dumps({"root": str(tmp_path / "store")}),
        "cache_folder": str(tmp_path / "copy"),
    }
    async with (
        judge_process(endpoints=endpoints_at(server), **keeping) as process,
        JudgeClient(process.address) as client,
    ):
        qualities = [quality(grade) async for grade in client.grade_texts(items(80))]
        await asyncio.sleep(1.2)  # the promise is a second
        await process.end()
        await process.start()
        again = [quality(grade) async for grade in client.grade_texts(items(80))]

    assert again == qualities
    assert server.num_requests - before == 80


_REFUSED: list[tuple[dict[str, Any], type[ServiceError], str]] = [
    ({"rubric": "nope"}, ResourceNotFound, "rubric of the judge"),
    (
        {"judge_model": ModelRef(endpoint="nope", model="m")},
        ResourceNotFound,
        "endpoint of the judge",
    ),
    ({"rubric": "agentic-ledger"}, InvalidField, "judges episodes"),
    ({"rubric": "document-fidelity"}, InvalidField, "reference"),
    ({"judge_model": ModelRef(model="missing")}, ModelRejectedRequest, "HTTP 404"),
]


async def test_what_the_judge_refuses_is_raised_for_what_it_is(server: ModelServer) -> None:
    missing = rejected(404, "no such model")
    server.inject(missing, missing, when=lambda asked: asked.model == "missing")
    async with (
        judge_process(endpoints=endpoints_at(server)) as process,
        JudgeClient(process.address) as client,
    ):
        for changes, error, told in _REFUSED:
            with pytest.raises(error, match=told):
                await client.grade(replace(item(0), **changes))
