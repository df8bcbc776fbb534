"""Promotions that are killed, refused or overtaken: the same step again, never another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pipelines.experiment.promotion_ladder import Intent, standing
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.traffic import Traffic, TrafficNotShifted
from services.servicekit.errors import StoredObjectCorrupt
from tests.experiment.promotion_site import CANDIDATE, Killed, Site, opened_site

Item = TypeVar("Item")


class KilledBeforeTelling(Rooms):
    """Rooms of a run that is killed before it tells the scoreboard what was done."""

    calls = 0

    async def patiently(self, room: str, call: Callable[[], Awaitable[Item]]) -> Item:
        self.calls += 1
        if self.calls > 1:
            raise Killed
        return await super().patiently(room, call)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with opened_site(tmp_path) as found:
        yield found


async def test_a_run_killed_after_the_shift_takes_the_same_step_again(site: Site) -> None:
    site.router.after = [Killed()]
    with pytest.raises(Killed):
        await site.run()

    done = await site.run()

    assert (done.action, done.percent) == ("canary", 10)
    assert site.router.asked == [(CANDIDATE, 10), (CANDIDATE, 10)]
    assert [each.percent for each in await site.told()] == [10]


async def test_a_run_killed_before_it_told_the_scoreboard_tells_it_later(site: Site) -> None:
    async with KilledBeforeTelling(site.addresses) as dying:
        with pytest.raises(Killed):
            await site.run(rooms=dying)
    assert await site.told() == []

    await site.run()

    assert site.router.asked == [(CANDIDATE, 10)]
    assert [each.percent for each in await site.told()] == [10]


async def test_a_roll_back_that_was_done_does_not_meet_the_next_candidate(site: Site) -> None:
    await site.run(night=0)
    site.router.after = [Killed()]
    with pytest.raises(Killed):
        await site.run(night=1, hits=30)
    next_one = Traffic(stable="old", candidate="next", candidate_percent=10)
    site.router.traffic = next_one

    done = await site.run(night=1, hits=30)

    assert (done.action, done.percent) == ("rolled_back", 0)
    assert site.router.traffic == next_one


async def test_traffic_that_somebody_changed_since_is_left_as_it_is(site: Site) -> None:
    site.router.before = [Killed()]
    with pytest.raises(Killed):
        await site.run()
    site.router.traffic = Traffic(stable="newer")

    done = await site.run()

    assert (done.action, done.percent, done.stable) == ("held", 0, "newer")
    assert "somebody changed the traffic since" in done.reason
    assert site.router.traffic == Traffic(stable="newer")


async def test_traffic_that_cannot_be_shifted_is_said_and_tried_again(site: Site) -> None:
    site.router.before = [TrafficNotShifted("agent: no node has a GPU;\nthe old one answers")]

    failed = await site.run()
    done = await site.run()

    assert (failed.action, failed.is_final, failed.is_alarm) == ("held", False, True)
    assert "no node has a GPU; the old one answers" in failed.reason
    assert (done.action, done.percent, done.is_final) == ("canary", 10, True)
    assert [each.percent for each in await site.told()] == [0, 10]


async def test_an_unreadable_intent_stops_the_run_before_it_shifts(site: Site) -> None:
    site.router.before = [Killed()]
    with pytest.raises(Killed):
        await site.run()
    (key,) = site.store.keys("traffic/")
    site.store.put(key, b"{")

    with pytest.raises(StoredObjectCorrupt, match="is no intent"):
        await site.run()

    assert site.router.asked == [(CANDIDATE, 10)]


OLD, TRIED = Traffic(stable="old"), Traffic(stable="old", candidate="new", candidate_percent=10)
OTHER = Traffic(stable="old", candidate="other", candidate_percent=10)
NEW_AND_OTHER = Traffic(stable="new", candidate="other", candidate_percent=10)


@pytest.mark.parametrize(
    ("action", "percent", "before", "current", "expected"),
    [
        ("canary", 10, OLD, OLD, "due"),
        ("canary", 10, OLD, TRIED, "due"),
        ("canary", 10, OLD, replace(TRIED, candidate_percent=0), "due"),
        ("canary", 10, OLD, replace(TRIED, candidate_percent=50), "overtaken"),
        ("canary", 10, OLD, OTHER, "overtaken"),
        ("canary", 10, OLD, Traffic(stable="new"), "overtaken"),
        ("canary", 10, OLD, None, "overtaken"),
        ("promoted", 100, TRIED, replace(TRIED, candidate_percent=0), "due"),
        ("promoted", 100, TRIED, Traffic(stable="new"), "due"),
        ("promoted", 100, TRIED, NEW_AND_OTHER, "done"),
        ("promoted", 100, None, Traffic(stable="new"), "due"),
        ("rolled_back", 0, TRIED, TRIED, "due"),
        ("rolled_back", 0, TRIED, OLD, "due"),
        ("rolled_back", 0, TRIED, OTHER, "done"),
        ("rolled_back", 0, TRIED, None, "done"),
        ("rolled_back", 0, TRIED, Traffic(stable="new"), "overtaken"),
        ("held", 0, OLD, OTHER, "done"),
    ],
)
def test_an_interrupted_run_repeats_its_own_and_undoes_nobody_elses(
    action: Any, percent: int, before: Traffic | None, current: Traffic | None, expected: str
) -> None:
    intent = Intent(action=action, percent=percent, reason="passed")

    assert standing(intent, "new", before=before, current=current) == expected
