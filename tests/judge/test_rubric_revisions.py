"""The dataset room notices that a rubric was edited, and does not ask about it all the time."""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from services.dataset.judge_client import JudgeClient
from services.dataset.rubric_revisions import REMEMBERED_SECONDS, RubricRevisions
from services.servicekit.errors import ModelUnavailable, ResourceNotFound
from tests.judge.scripted_judge import (
    ScriptedJudge,
    client_of,
    grade_all,
    item,
    serving_judge,
)

QUALITY = "example-quality"


class _Judge:
    """Answers what it holds, or fails, and counts; the clock beside it stands."""

    def __init__(self) -> None:
        self.holds: Mapping[str, str] | Exception = {QUALITY: "1"}
        self.num_asked = 0
        self.now = 0.0
        self.revisions = RubricRevisions(self._ask, clock=lambda: self.now)

    async def _ask(self) -> Mapping[str, str]:
        self.num_asked += 1
        await asyncio.sleep(0)
        if isinstance(self.holds, Exception):
            raise self.holds
        return self.holds


async def test_a_revision_is_remembered_for_a_minute() -> None:
    judge = _Judge()
    first = await judge.revisions.of(QUALITY)
    judge.holds = {QUALITY: "2"}
    judge.now = REMEMBERED_SECONDS - 1
    before = await judge.revisions.of(QUALITY)
    judge.now = REMEMBERED_SECONDS
    after = await judge.revisions.of(QUALITY)

    assert (first, before, after) == ("1", "1", "2")
    assert judge.num_asked == 2


async def test_a_caller_that_gives_up_does_not_take_the_answer_of_others_with_it() -> None:
    judge = _Judge()
    given_up, other = (asyncio.create_task(judge.revisions.of(QUALITY)) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await other == "1"
    assert judge.num_asked == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_remembered() -> None:
    judge = _Judge()
    judge.holds = ModelUnavailable("judge", "any", "away")
    failures = await asyncio.gather(
        *(judge.revisions.of(QUALITY) for _ in range(3)), return_exceptions=True
    )
    judge.holds = {QUALITY: "1"}

    assert [type(failure) for failure in failures] == [ModelUnavailable] * 3
    assert await judge.revisions.of(QUALITY) == "1"
    assert judge.num_asked == 2


async def test_a_grade_by_another_revision_is_noticed() -> None:
    judge = _Judge()
    await judge.revisions.of(QUALITY)
    judge.revisions.notice(QUALITY, "1")
    await judge.revisions.of(QUALITY)
    judge.revisions.notice(QUALITY, "2")
    await judge.revisions.of(QUALITY)

    assert judge.num_asked == 2


async def test_many_items_ask_the_judge_for_its_rubrics_once() -> None:
    async with client_of(grade_all) as (room, client):
        revisions = await asyncio.gather(*(client.rubric_revision(QUALITY) for _ in range(50)))

    assert set(revisions) == {"r"}
    assert room.num_listings == 1


async def test_an_unknown_rubric_is_named_with_those_that_there_are() -> None:
    async with client_of(grade_all) as (_room, client):
        with pytest.raises(ResourceNotFound, match=r'rubric of the judge named "nope".*quality'):
            await client.rubric_revision("nope")


async def test_after_a_grade_by_an_edited_rubric_the_judge_is_asked_again() -> None:
    async with client_of(grade_all) as (room, client):
        room.revisions[QUALITY] = "old"
        before = await client.rubric_revision(QUALITY)
        room.revisions[QUALITY] = "r"
        grade = await client.grade(item(0))
        after = await client.rubric_revision(QUALITY)

    assert (before, grade.rubric_revision, after) == ("old", "r", "r")


async def test_a_judge_that_came_back_is_asked_again_at_once() -> None:
    edited = ScriptedJudge(grade_all)
    edited.revisions[QUALITY] = "edited"
    async with serving_judge(ScriptedJudge(grade_all)) as port:
        client = await JudgeClient(f"127.0.0.1:{port}").__aenter__()
        before = await client.rubric_revision(QUALITY)
    try:
        async with serving_judge(edited, port), asyncio.timeout(REMEMBERED_SECONDS / 4):
            while await client.rubric_revision(QUALITY) == before:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
    finally:
        await client.__aexit__()

    assert (before, edited.num_listings) == ("r", 1)


async def test_a_judge_that_is_away_is_said_to_be_away(impatient: None) -> None:
    async with JudgeClient("127.0.0.1:9") as client:
        with pytest.raises(ModelUnavailable, match=r"the judge at 127\.0\.0\.1:9 is away for 0\.5"):
            await client.rubric_revision(QUALITY)


async def test_a_judge_that_refuses_to_list_is_quoted() -> None:
    class Refusing(ScriptedJudge):
        async def ListRubrics(self, request: Any, context: Any) -> Any:  # noqa: N802
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")

    async with (
        serving_judge(Refusing(grade_all)) as port,
        JudgeClient(f"127.0.0.1:{port}") as client,
    ):
        with pytest.raises(ModelUnavailable, match="who are you"):
            await client.rubric_revision(QUALITY)


async def test_a_client_that_is_not_entered_has_no_revisions() -> None:
    with pytest.raises(RuntimeError, match="must be entered"):
        await JudgeClient("127.0.0.1:9").rubric_revision(QUALITY)
