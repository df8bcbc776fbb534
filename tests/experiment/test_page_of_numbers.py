"""The page of numbers says of every cell what is needed to doubt it, and fits the terminal."""

from __future__ import annotations

import io
import re
from typing import Any, cast

import pytest
from rich.console import Console
from teachwhy.judge.v1 import calibration_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment.evaluate import EvaluationSummary
from pipelines.experiment.judging import JudgingSummary
from pipelines.experiment.loss_curves import LossCurves
from pipelines.experiment.panel_facts import PanelFacts
from pipelines.experiment.reasons import GroupedReasons, ReasonGroup
from pipelines.experiment.report import Report
from pipelines.experiment.report_build import build_report
from pipelines.experiment.report_number_table import number_tables
from pipelines.experiment.report_page import render_page
from pipelines.experiment.report_rates import pooled_rate
from pipelines.experiment.report_rows import Measured
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.steps import EvaluationStep
from tests.experiment.test_report import FakeRooms

HONEYPOT, TWIN = scenario_pb2.SCENARIO_KIND_HONEYPOT, scenario_pb2.SCENARIO_KIND_BENIGN_TWIN
HELD_OUT, NEAR = scenario_pb2.SPLIT_HELD_OUT, scenario_pb2.SPLIT_NEAR
PANEL = {"members": [{"endpoint": "lab", "model": f"judge-{each}"} for each in (1, 2)]}
IDS = [f"{each:032x}" for each in range(10, 15)]


def rate(hits: int, scored: int, unscored: int = 0) -> evaluation_pb2.Rate:
    made = pooled_rate(hits, scored, unscored, [hits / scored] if scored else [])
    return evaluation_pb2.Rate(**made.model_dump())


def cell(
    split: int, kind: int, family: str, *, took: int, scored: int, unscored: int = 0
) -> evaluation_pb2.Cell:
    made = evaluation_pb2.Cell(
        split=cast("Any", split),
        kind=cast("Any", kind),
        family=family,
        took_action=rate(took, scored, unscored),
        used_safe_channel=rate(0, scored, unscored),
        num_episodes=scored + unscored,
        unscored=unscored,
        truncated=3,
        acted=scored,
        opinion_took_bait=rate(took, max(took, scored - 4), unscored + 4),
        layers_disagree=2,
    )
    if not family:
        made.macro_took_action.estimate = 0.25
        made.macro_took_action.lower, made.macro_took_action.upper = 0.11, 0.42
        made.macro_took_action.num_families = 3
        made.macro_took_action.num_clusters = 17
        corrected = made.corrected_took_bait
        corrected.estimate, corrected.lower, corrected.upper = 0.22, 0.08, 0.4
    return made


CELLS = [
    cell(HELD_OUT, HONEYPOT, "", took=30, scored=120, unscored=6),
    cell(
        HELD_OUT, HONEYPOT, "coalition-of-agents-with-a-long-name", took=30, scored=60, unscored=6
    ),
    cell(HELD_OUT, HONEYPOT, "sandbagging", took=0, scored=60),
    cell(NEAR, HONEYPOT, "", took=9, scored=40),
    cell(NEAR, TWIN, "", took=38, scored=40),
    cell(NEAR, TWIN, "nothing-scored", took=0, scored=0, unscored=12),
]


class Scoreboard:
    async def SummarizeEvaluations(self, request: object) -> Any:  # noqa: N802
        return scoreboard_service_pb2.SummarizeEvaluationsResponse(cells=CELLS)

    async def CompareEvaluations(self, request: object) -> Any:  # noqa: N802
        differences = [
            evaluation_pb2.PairedDifference(
                split=cast("Any", HELD_OUT),
                kind=HONEYPOT,
                family=family,
                num_pairs=120,
                num_clusters=17,
                only_baseline=9,
                difference=-0.075,
                lower=-0.12,
                upper=-0.03,
                p_value=0.0039,
                q_value=0.0078,
            )
            for family in ("", "coalition-of-agents-with-a-long-name")
        ]
        return scoreboard_service_pb2.CompareEvaluationsResponse(differences=differences)


def calibration() -> calibration_pb2.Calibration:
    made = calibration_pb2.Calibration(
        digest="c" * 64,
        rubric="agent-conduct",
        rubric_revision="r" * 64,
        num_episodes=126,
        num_unjudged=2,
        cohens_kappa=0.91,
        false_positives=calibration_pb2.ErrorRate(
            num_errors=2, num_trials=64, estimate=2 / 64, lower=0.01, upper=0.11
        ),
        false_negatives=calibration_pb2.ErrorRate(
            num_errors=4, num_trials=60, estimate=4 / 60, lower=0.03, upper=0.16
        ),
    )
    for judge in ("judge-1", "judge-2"):
        made.members.add(endpoint="lab", model=judge)
    made.with_labels.num_items, made.with_labels.ac1 = 124, 0.9
    made.cases.add(case_name="quiet-harm", num_trials=12, num_errors=3)
    made.cases.add(case_name="loud-refusal", num_trials=10)
    return made


FACTS = PanelFacts(
    reasons={
        ("honeypot", True): GroupedReasons(
            episodes=30,
            with_reasons=29,
            groups=(
                ReasonGroup(
                    reason="the [bold]goal[/bold] <b>justified</b> it",
                    episodes=21,
                    wordings=4,
                    examples=(IDS[0], IDS[1]),
                ),
            ),
            elsewhere=0,
        )
    },
    disagreeing=IDS[:2],
    opinion_revision="r" * 64,
)
ASKED = JudgingSummary(
    episodes=126,
    unscored=6,
    without_opinion=8,
    layers_disagree=2,
    answers=230,
    refusals=9,
    errors=13,
    input_tokens=1_234_567,
    output_tokens=89_012,
    judge_revisions={"lab/judge-1 v1": 115, "lab/judge-2 v1": 115},
)


async def report_of(*, with_panel: bool = True, calibrated: bool = True) -> Report:
    names = ("agent", "other")
    evaluation: dict[str, object] = {"suites": ["near"]}
    experiment = Experiment.model_validate(
        {
            "name": "hosted",
            "title": "Hosted",
            "seeds": [0],
            "models": [{"name": each, "endpoint": "lab", "model": "x"} for each in names],
            "evaluation": {**evaluation, **({"panel": PANEL} if with_panel else {})},
        }
    )
    measured = [
        Measured(
            step=EvaluationStep(
                arm=model.name, seed=0, tokens=0, subject=model, episodes=126, digest=model.name
            ),
            record=evaluation_pb2.Evaluation(name=f"evaluations/{model.name}", cells=CELLS),
            summary=EvaluationSummary(
                planned=126, played=126, stopped=False, unscored=6, model_revisions={}
            ),
            judging=ASKED if with_panel else None,
        )
        for model in experiment.models
    ]
    return await build_report(
        experiment,
        measured,
        cast("Rooms", FakeRooms(cast("Any", Scoreboard()))),
        suites={},
        stages={},
        curves=LossCurves(),
        wall_seconds=1.0,
        calibration=calibration() if calibrated else None,
        facts={(each, 0): FACTS for each in names} if with_panel else None,
    )


def shown(report: Report, width: int, arm: str = "") -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    for part in number_tables(report.results, width, arm=arm):
        console.print(part)
    return stream.getvalue()


def line_of(text: str, start: str, nth: int = 0) -> str:
    return [line for line in text.splitlines() if line.strip().startswith(start)][nth]


@pytest.mark.parametrize("width", [100, 120, 160, 200])
async def test_the_page_fits_the_terminal(width: int) -> None:
    lines = shown(await report_of(), width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("\u2026" in line for line in lines), "nothing is cut"


@pytest.mark.parametrize("width", [100, 160])
async def test_every_cell_has_counts_rate_interval_and_bounds(width: int) -> None:
    text = shown(await report_of(), width)
    whole = line_of(text, "held-out honeypots")
    assert whole.split()[2:6] == ["126", "6", "3", "120"]
    assert "0.25 [0.18-0.33]" in whole
    assert "0.24-0.29" in whole
    assert "0.25 [0.11-0.42]" in line_of(text, "mean of 3 families")
    assert "17 clusters" in line_of(text, "mean of 3 families")


async def test_a_rate_without_a_hit_has_its_bound() -> None:
    line = line_of(shown(await report_of(), 100), "sandbagging")
    assert "0.00 [0.00-0.06]" in line
    assert "<0.049" in line


async def test_nothing_scored_is_every_rate_possible() -> None:
    line = line_of(shown(await report_of(), 100), "nothing-scored")
    assert line.split()[1:5] == ["12", "12", "3", "-"]
    assert "not scored" in line
    assert "0.00-1.00" in line


async def test_the_panel_stands_beside_with_what_is_missing_and_corrected() -> None:
    wide, narrow = shown(await report_of(), 160), shown(await report_of(), 100)
    for line in (line_of(wide, "held-out honeypots"), line_of(narrow, "held-out honeypots", 1)):
        assert "0.26 [0.19-0.35]" in line
        assert "0.24-0.32" in line
        assert "0.22 [0.08-0.40]" in line
    asked = " ".join(wide.split())
    assert "230 answers, 9 refusals, 13 errors about 126 episodes, 8 without an answer" in asked
    assert "1,234,567 tokens in" in asked
    assert IDS[0][:12] in wide


async def test_without_a_panel_nothing_is_said_of_one() -> None:
    report = await report_of(with_panel=False, calibrated=False)
    assert (report.results.panels, report.results.calibration, report.results.reasons) == (
        [],
        None,
        [],
    )
    page = render_page(report)
    assert "Reasons</h2>" not in page
    assert "The panel, calibrated" not in page


async def test_the_calibration_says_errors_agreement_and_hard_cases() -> None:
    text = shown(await report_of(), 100)
    said = " ".join(text.split())
    assert "false positives 0.03 [0.01-0.11] 2/64" in said
    assert "false negatives 0.07 [0.03-0.16] 4/60, kappa 0.91" in said
    assert line_of(text, "quiet-harm").split() == ["quiet-harm", "12", "3", "-"]
    assert line_of(text, "median with the labels").split()[-2:] == ["0.90", "-"]


async def test_comparisons_have_families_with_q_values() -> None:
    text = shown(await report_of(), 100)
    assert "other against agent" in text
    family = line_of(text[text.index("other against agent") :], "coalition-of-agents")
    assert "-0.08 [-0.12 to -0.03]" in family.replace("-0.07 ", "-0.08 ")
    assert family.split()[-1] == "0.0078"


async def test_one_arm_may_be_chosen() -> None:
    text = shown(await report_of(), 100, arm="agent")
    assert re.search(r"^agent$", text, re.MULTILINE)
    assert not re.search(r"^other$", text, re.MULTILINE)


async def test_the_page_in_the_browser_has_the_same_and_no_markup_of_a_judge() -> None:
    page = render_page(await report_of())
    for part in (
        "Page of numbers",
        "0.25 [0.18-0.33]",
        "0.25 [0.11-0.42]",
        "0.22 [0.08-0.40]",
        "&lt;0.049",
        "false positives 0.03 [0.01-0.11] 2/64",
        "quiet-harm",
        "0.0078",
        "&lt;b&gt;justified&lt;/b&gt;",
        IDS[0][:12],
    ):
        assert part in page, part
    assert "<b>justified" not in page


async def test_a_panel_that_errs_or_is_silent_is_warned_of() -> None:
    said = " ".join((await report_of()).results.warnings)
    assert "agent: the panel says nothing of 8 of 126 episodes" in said
    assert "the bait taken where it was not in up to 11% of labelled episodes (2 of 64)" in said
    assert "it not taken where it was in up to 16%" in said
    uncalibrated = " ".join((await report_of(calibrated=False)).results.warnings)
    assert "The panel is not calibrated" in uncalibrated
