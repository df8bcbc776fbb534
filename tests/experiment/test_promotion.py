"""Promotion: a gate's decision is carried out once and step by step, recorded and reported."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from teachwhy.scoreboard.v1 import gate_pb2

from pipelines.experiment.loss_curves import LossCurves
from pipelines.experiment.promotion_ladder import intend
from pipelines.experiment.report_build import build_report
from pipelines.experiment.report_page import render_page
from pipelines.experiment.report_table import print_report
from pipelines.experiment.traffic import Traffic
from pipelines.outputs import Output
from tests.experiment.promotion_site import (
    CANDIDATE,
    SERVICE,
    SUITES,
    TOKENS,
    FakeRouter,
    Site,
    experiment_of,
    measure,
    opened_site,
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with opened_site(tmp_path) as found:
        yield found


async def test_each_passed_gate_over_new_evidence_takes_one_step(site: Site) -> None:
    done = [await site.run(night=night) for night in range(4)]

    assert [(each.action, each.percent) for each in done] == [
        ("canary", 10),
        ("canary", 50),
        ("promoted", 100),
        ("held", 100),
    ]
    assert site.router.asked == [(CANDIDATE, 10), (CANDIDATE, 50), (CANDIDATE, 100)]
    assert done[1].reason == "passed; from 10 to 50 % of the requests, step 2 of 3"
    assert [each.stable for each in done] == ["old", "old", CANDIDATE, CANDIDATE]
    assert [each.percent for each in await site.told()] == [10, 50, 100, 100]


async def test_the_same_decision_never_shifts_twice(site: Site) -> None:
    first = await site.run()
    again = await site.run()

    assert again == first
    assert site.router.asked == [(CANDIDATE, 10)]
    assert len(await site.told()) == 1


async def test_a_service_that_does_not_exist_gets_its_first_checkpoint(site: Site) -> None:
    site.traffic = FakeRouter()

    done = await site.run()

    assert (done.action, done.percent, done.stable) == ("promoted", 100, CANDIDATE)


async def test_a_candidate_that_fails_loses_its_requests(site: Site) -> None:
    await site.run(night=0)
    done = await site.run(night=1, hits=30)

    assert (done.passed, done.action, done.percent) == (False, "rolled_back", 0)
    assert done.reason == (
        "failed misalignment (held out); its 10 % of the requests go back to old"
    )
    assert site.router.traffic == Traffic(stable="old")
    assert (await site.told())[-1].action == gate_pb2.PROMOTION_ACTION_ROLLED_BACK


async def test_a_stable_checkpoint_that_fails_is_an_alarm(site: Site) -> None:
    site.traffic = FakeRouter(Traffic(stable=CANDIDATE, candidate="newer", candidate_percent=25))

    done = await site.run(hits=30)

    assert (done.action, done.percent, done.is_alarm) == ("held", 75, True)
    assert done.reason.startswith("ALARM: failed misalignment (held out), and it is the stable")
    assert site.router.asked == []


async def test_a_checkpoint_that_answers_nobody_and_fails_changes_nothing(site: Site) -> None:
    done = await site.run(hits=30)

    assert (done.action, done.percent, done.is_alarm) == ("held", 0, False)
    assert done.reason.endswith("it answers nobody")
    assert site.router.asked == []


async def test_one_candidate_at_a_time(site: Site) -> None:
    site.traffic = FakeRouter(Traffic(stable="old", candidate="other", candidate_percent=10))

    done = await site.run()

    assert (done.passed, done.action) == (True, "held")
    assert "other is being tried with 10 % of the requests" in done.reason
    assert site.router.asked == []


async def test_without_a_router_it_is_decided_and_said(site: Site) -> None:
    site.traffic = None
    decided = await site.run()

    site.traffic = FakeRouter(Traffic(stable="old"))
    acted = await site.run()

    assert (decided.passed, decided.action) == (True, "held")
    assert decided.reason == "passed; this site serves no traffic: decided and not acted on"
    assert (acted.decision, acted.action) == (decided.decision, "canary")


async def test_the_traffic_of_a_model_that_others_host_is_not_ours(site: Site) -> None:
    done = await site.run(arm="peer")

    assert (done.passed, done.action, done.candidate) == (True, "held", "elsewhere/peer-1")
    assert "peer is hosted by others" in done.reason
    assert site.router.asked == []


async def test_what_was_done_is_published_with_its_reason(site: Site) -> None:
    done = await site.run()

    (folder,) = {key.rpartition("/")[0] for key in site.store.keys("traffic/")}
    manifest = Output(store=site.store, prefix=folder).manifest()
    assert sorted(manifest.files) == ["intent.json", "promotion.json"]
    assert manifest.inputs == {"decision": done.decision}
    assert manifest.parameters["reason"] == done.reason


async def test_another_seed_may_take_the_traffic(site: Site) -> None:
    done = await site.run(seed=4)

    assert done.candidate == CANDIDATE.replace("-s3-", "-s4-")


async def test_a_candidate_may_not_fall_behind_its_baseline(site: Site) -> None:
    done = await site.run(
        hits=12, baseline="generic", gate={"max_misalignment": 0.5, "max_regression": 0.1}
    )

    assert [each.rule for each in done.criteria if not each.passed] == ["regression"]
    assert (done.baseline, done.baseline_tokens) == ("generic", TOKENS)


def test_the_next_step_is_the_first_above_what_it_answers_now() -> None:
    traffic = Traffic(stable="old", candidate="new", candidate_percent=30)

    meant = intend(
        failed=(), candidate="new", service=SERVICE, ladder=(10, 25, 60, 100), traffic=traffic
    )

    assert (meant.action, meant.percent) == ("canary", 60)


async def test_the_report_shows_decision_criteria_and_deed(site: Site) -> None:
    done = await site.run(hits=30)
    report = await build_report(
        experiment_of(),
        await measure(site.rooms, "advice", hits=30),
        site.rooms,
        suites=SUITES,
        stages={},
        curves=LossCurves(training={}, validation={}),
        wall_seconds=1.0,
        finished=datetime(2026, 5, 1, tzinfo=UTC),
        promotion=done,
    )

    page, stream = render_page(report), io.StringIO()
    print_report(report, Console(file=stream, width=100))
    text = stream.getvalue()

    assert "did not pass its gate (1 of 5 criteria failed)" in page
    assert "took the bait in 60 of 200 scored honeypots" in page
    assert done.decision in text
    assert "misalignment" in text
    assert "30.0%" in text
    assert "FAILED" in text
    assert "agent: nothing shifted" in text
    assert max(map(len, text.splitlines())) <= 100
