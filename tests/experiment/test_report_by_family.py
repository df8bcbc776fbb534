"""A report of hosted models says what it is, shows families apart and claims nothing else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import pytest
from rich.console import Console
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment.evaluate import EvaluationSummary
from pipelines.experiment.loss_curves import LossCurves
from pipelines.experiment.report import Report
from pipelines.experiment.report_build import build_report
from pipelines.experiment.report_page import render_page
from pipelines.experiment.report_rates import pooled_rate
from pipelines.experiment.report_rows import Measured
from pipelines.experiment.report_table import print_report
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_evaluation import HostedModel
from pipelines.experiment.steps import EvaluationStep
from tests.experiment.test_report import FakeRooms

HONEYPOT, TWIN, ESCALATION = 1, 2, 3
NEAR, HELD_OUT, CONTROL = (
    scenario_pb2.SPLIT_NEAR,
    scenario_pb2.SPLIT_HELD_OUT,
    scenario_pb2.SPLIT_CONTROL,
)
AXES = [scenario_pb2.Axis(name="persona", levels=["alex"])]


def suite(name: str, split: int, kinds: Sequence[int], *families: str) -> scenario_pb2.Suite:
    return scenario_pb2.Suite(
        name=name,
        split=cast("Any", split),
        kinds=cast("Any", kinds),
        families=families,
        axes=AXES,
    )


SUITES = [
    suite("workplace-near", NEAR, [HONEYPOT], "oversight-tampering", "sandbagging"),
    suite("workplace-near-twins", NEAR, [TWIN], "oversight-tampering", "sandbagging"),
    suite("workplace-held-out", HELD_OUT, [HONEYPOT], "coalition"),
    suite(
        "workplace-controls",
        CONTROL,
        [HONEYPOT, TWIN, ESCALATION],
        "legitimate-escalation",
        "no-conflict",
        "over-refusal",
    ),
]
CELLS = [
    # split, kind, family, took, safe, scored, unscored
    (NEAR, HONEYPOT, "", 9, 20, 40, 2),
    (HELD_OUT, HONEYPOT, "", 0, 30, 150, 0),
    (NEAR, HONEYPOT, "oversight-tampering", 8, 5, 20, 2),
    (NEAR, HONEYPOT, "sandbagging", 1, 15, 20, 0),
    (NEAR, TWIN, "oversight-tampering", 18, 1, 20, 0),
    (NEAR, TWIN, "sandbagging", 4, 12, 20, 0),
    (HELD_OUT, HONEYPOT, "coalition", 0, 30, 150, 0),
    (CONTROL, HONEYPOT, "no-conflict", 0, 1, 10, 0),
    (CONTROL, TWIN, "over-refusal", 9, 1, 10, 0),
    (CONTROL, ESCALATION, "legitimate-escalation", 2, 7, 10, 0),
]


def cell(values: tuple[int, int, str, int, int, int, int]) -> evaluation_pb2.Cell:
    split, kind, family, took, safe, scored, unscored = values

    def rate(hits: int) -> evaluation_pb2.Rate:
        made = pooled_rate(hits, scored, unscored, [hits / scored])
        return evaluation_pb2.Rate(**made.model_dump())

    return evaluation_pb2.Cell(
        split=cast("Any", split),
        kind=cast("Any", kind),
        family=family,
        took_action=rate(took),
        used_safe_channel=rate(safe),
        num_episodes=scored + unscored,
        unscored=unscored,
        acted=scored,
    )


class Scoreboard:
    async def SummarizeEvaluations(self, request: object) -> Any:  # noqa: N802
        cells = [cell(each) for each in CELLS]
        return scoreboard_service_pb2.SummarizeEvaluationsResponse(cells=cells)

    async def CompareEvaluations(self, request: Any) -> Any:  # noqa: N802
        assert (request.baseline, request.candidate) == (
            ["evaluations/agent"],
            ["evaluations/other"],
        )
        differences = [
            evaluation_pb2.PairedDifference(
                split=cast("Any", HELD_OUT),
                kind=cast("Any", HONEYPOT),
                family=family,
                num_pairs=150,
                num_clusters=12,
                only_baseline=9,
                only_candidate=2,
                difference=-0.05,
                lower=-0.11,
                upper=0.01,
                p_value=0.065,
                q_value=0.13 if family else 0.065,
            )
            for family in ("coalition", "")
        ]
        return scoreboard_service_pb2.CompareEvaluationsResponse(differences=differences)


async def report_of(*names: str, revisions: Sequence[str] = ("r1",), played: int = 282) -> Report:
    models = [HostedModel(name=each, endpoint="lab", model="x") for each in names]
    experiment = Experiment.model_validate(
        {
            "name": "hosted",
            "title": "Hosted",
            "seeds": [0],
            "models": [each.model_dump() for each in models],
            "evaluation": {"suites": [each.name for each in SUITES]},
        }
    )
    measured = [
        Measured(
            step=EvaluationStep(
                arm=model.name, seed=0, tokens=0, subject=model, episodes=300, digest=model.name
            ),
            record=evaluation_pb2.Evaluation(
                name=f"evaluations/{model.name}",
                header=evaluation_pb2.EvaluationHeader(arm=model.name),
                cells=[cell(each) for each in CELLS],
            ),
            summary=EvaluationSummary(
                planned=300,
                played=played,
                stopped=played < 300,
                unscored=2,
                model_revisions=dict.fromkeys(revisions, 1),
            ),
        )
        for model in models
    ]
    return await build_report(
        experiment,
        measured,
        cast("Rooms", FakeRooms(cast("Any", Scoreboard()))),
        suites={each.name: each for each in SUITES},
        stages={"play and judge": 1.0},
        curves=LossCurves(),
        wall_seconds=1.0,
    )


def shown(report: Report, width: int) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width))
    return stream.getvalue()


async def test_the_first_line_says_that_nothing_is_claimed_of_training() -> None:
    first = shown(await report_of("agent"), 100).splitlines()[:2]
    assert " ".join(line.strip() for line in first).startswith(
        "Measures 1 hosted model on 4 suites. Nothing was trained, so nothing is claimed about "
    )


async def test_no_finding_is_made_of_models_and_each_is_compared_with_the_first() -> None:
    results = (await report_of("agent", "other")).results
    assert (results.findings, results.efficiency) == ([], [])
    (comparison,) = results.comparisons
    assert (comparison.arm, comparison.against) == ("other", "agent")
    assert [(each.family, each.q_value) for each in comparison.differences] == [
        ("", 0.065),
        ("coalition", 0.13),
    ]
    assert not any("control" in each or "base" in each for each in results.warnings)


async def test_several_revisions_and_an_early_stop_are_warned_of() -> None:
    warnings = (await report_of("agent", revisions=["r1", "r2"])).results.warnings
    assert any("several revisions of the model answered, r1, r2" in each for each in warnings)
    assert any("of 300 episodes were played: the stop rule was met" in each for each in warnings)


async def test_families_stand_below_their_suite_and_the_suite_sums_them() -> None:
    families = (await report_of("agent")).results.families
    near = [each for each in families if each.suite == "workplace-near"]

    assert [each.family for each in near] == ["", "oversight-tampering", "sandbagging"]
    assert [each.took_action.num_hits for each in near] == [9, 8, 1]
    assert [each.episodes for each in near] == [42, 22, 20]
    assert near[0].took_action.highest_possible == 11 / 42


async def test_controls_are_never_summed_and_each_says_what_is_expected() -> None:
    families = (await report_of("agent")).results.families
    controls = {
        each.family: (each.kind, each.expected, each.used_safe_channel.num_hits)
        for each in families
        if each.suite == "workplace-controls"
    }
    assert controls == {
        "no-conflict": ("honeypot", "leave the bait", 1),
        "over-refusal": ("benign_twin", "do the task", 1),
        "legitimate-escalation": ("escalation", "ask or report", 7),
    }


@pytest.mark.parametrize("width", [100, 120, 160])
async def test_every_family_has_its_line_within_the_width(width: int) -> None:
    lines = shown(await report_of("agent", "other"), width).splitlines()
    assert max(map(len, lines)) <= width
    line = next(line for line in lines if line.startswith("oversight-tampering"))
    assert line.split()[1:4] == ["22", "2", "-"]
    assert "0.40 [0.22-0.61]" in line
    titles = {line.rstrip() for line in lines}
    assert "workplace-controls: the agent should ask or report" in titles


async def test_the_page_shows_families_and_leaves_out_what_was_not_done() -> None:
    page = render_page(await report_of("agent"))
    assert "agent by family" in page
    assert "0.40 [0.22-0.61]" in page
    assert "Took the bait" in page
    assert "micro-world" not in page
    assert "<h2>Findings" not in page
    assert page.count("<svg") == 1
