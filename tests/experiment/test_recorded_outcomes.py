"""What a run tells the scoreboard of each episode, and what it leaves as it was recorded before."""

from __future__ import annotations

from pathlib import Path

import pytest
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment.record import Judging, record_evaluation
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.shards import encode_episodes, encode_verdicts, shard_name
from pipelines.experiment.spec_evaluation import HostedModel
from pipelines.experiment.spec_panel import Panel
from pipelines.experiment.steps import EvaluationStep, JudgingStep
from pipelines.outputs import Output
from services.servicekit.digest import digest_of
from services.servicekit.storage.directory import DirectoryStore
from tests.experiment.promotion_site import opened_site
from tests.experiment.workplace_episodes import episode, scenario

MEMBERS = [{"endpoint": "lab", "model": f"judge-{number}"} for number in (1, 2, 3)]
STEP = EvaluationStep(
    arm="peer",
    seed=3,
    tokens=0,
    subject=HostedModel(name="peer", endpoint="lab", model="peer-1"),
    episodes=3,
    digest="2" * 64,
)
PLAYED = [
    episode(index=index, of=scenario(f"{suite}/hold/{index}"))
    for index, suite in enumerate(["workplace-near", "workplace-near", "workplace-bare"])
]


def verdict(index: int, *grades: float | None) -> verdict_pb2.Verdict:
    """A verdict with an opinion for each grade of awareness; None is one without an answer."""
    made = verdict_pb2.Verdict(
        episode_id=PLAYED[index].id, rubric="agentic-ledger", rubric_revision="1"
    )
    made.score.conduct = verdict_pb2.CONDUCT_NO_ACTION
    for grade in grades:
        opinion = made.opinions.add(rubric="agent-conduct", rubric_revision="1")
        if grade is None:
            opinion.error.detail = "it rambled"
        else:
            opinion.answers.takes_bait = verdict_pb2.BAIT_GRADE_NO
            opinion.answers.values["evaluation_awareness"] = grade
    return made


def stored(folder: Path, *verdicts: verdict_pb2.Verdict) -> Output:
    output = Output(store=DirectoryStore(folder), prefix="episodes/e")
    output.store.put(output.key(shard_name("episodes", 0)), encode_episodes(PLAYED))
    output.store.put(
        output.key(shard_name("verdicts", 0)), encode_verdicts(verdicts, first_index=0)
    )
    return output


async def record(
    rooms: Rooms, output: Output, *, has_panel: bool = False
) -> evaluation_pb2.Evaluation:
    panel = Panel.model_validate({"members": MEMBERS})
    judging = JudgingStep(evaluation=STEP, rubric="agentic-ledger", panel=panel, digest="3" * 64)
    return await record_evaluation(
        STEP,
        output,
        experiment="small",
        rubric="agentic-ledger",
        training_data=[],
        rooms=rooms,
        judging=Judging(step=judging, output=output, calibration=None) if has_panel else None,
    )


async def test_every_suite_has_a_cell_and_the_panels_median_of_awareness_is_kept(
    tmp_path: Path,
) -> None:
    output = stored(
        tmp_path / "runs", verdict(0, 1, 2, 9), verdict(1, 4, None, 5), verdict(2, None, None, None)
    )

    async with opened_site(tmp_path) as site:
        found = await record(site.rooms, output, has_panel=True)

    suites = {each.suite: each for each in found.cells if each.suite}
    assert {name: each.num_episodes for name, each in suites.items()} == {
        "workplace-near": 2,
        "workplace-bare": 1,
    }
    assert not suites["workplace-bare"].HasField("evaluation_awareness")
    (whole,) = (each for each in found.cells if not (each.suite or each.family or each.label))
    assert whole.evaluation_awareness.num_episodes == 2
    assert whole.evaluation_awareness.estimate == pytest.approx((2 + 4.5) / 2)


async def test_without_a_panel_nothing_is_said_of_awareness(tmp_path: Path) -> None:
    output = stored(tmp_path / "runs", *(verdict(index) for index in range(3)))

    async with opened_site(tmp_path) as site:
        found = await record(site.rooms, output)
        again = await record(site.rooms, output)

    assert again == found
    assert any(each.suite for each in found.cells)
    assert not any(each.HasField("evaluation_awareness") for each in found.cells)


async def test_what_an_earlier_version_recorded_stays_the_only_record_of_its_episodes(
    tmp_path: Path,
) -> None:
    output = stored(tmp_path / "runs", *(verdict(index) for index in range(3)))

    async with opened_site(tmp_path) as site:
        earlier = await _recorded_before(site.rooms)
        found = await record(site.rooms, output)
        listed = await site.rooms.scoreboard.ListEvaluations(
            scoreboard_service_pb2.ListEvaluationsRequest()
        )

    assert found.name == earlier.name
    assert not any(each.suite for each in found.cells)
    assert [each.name for each in listed.evaluations] == [earlier.name]


async def _recorded_before(rooms: Rooms) -> evaluation_pb2.Evaluation:
    """Record the episodes as it was done before outcomes had suites."""
    header = evaluation_pb2.EvaluationHeader(
        experiment="small",
        arm=STEP.arm,
        model=STEP.model,
        seed=STEP.seed,
        digest=digest_of("record", "small", STEP.arm, STEP.tokens, STEP.digest),
        rubric="agentic-ledger@1",
    )
    outcomes = [
        evaluation_pb2.Outcome(
            scenario_id=each.scenario.id,
            family=each.scenario.family,
            split=scenario_pb2.SPLIT_NEAR,
            kind=each.scenario.kind,
            conduct=verdict_pb2.CONDUCT_NO_ACTION,
            cluster=each.scenario.cluster,
        )
        for each in PLAYED
    ]
    requests = [
        scoreboard_service_pb2.RecordEvaluationRequest(header=header),
        scoreboard_service_pb2.RecordEvaluationRequest(
            outcomes=scoreboard_service_pb2.OutcomeBatch(outcomes=outcomes)
        ),
    ]
    return (await rooms.scoreboard.RecordEvaluation(iter(requests))).evaluation
