"""Reports say what was measured, with n and interval, and nothing more."""

from __future__ import annotations

import io
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import pytest
from rich.console import Console
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment import report as report_module
from pipelines.experiment.evaluate import EvaluationSummary
from pipelines.experiment.loss_curves import LossCurves
from pipelines.experiment.report import Report, report_json, report_json_schema, results_digest
from pipelines.experiment.report_build import build_report
from pipelines.experiment.report_page import render_page
from pipelines.experiment.report_rates import pooled_rate
from pipelines.experiment.report_rows import Measured
from pipelines.experiment.report_table import print_report
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.steps import EvaluationStep, TrainingStep

Item = TypeVar("Item")
SEEDS = (0, 1)
EPISODES = 200
TOKENS = 80_000
MATCHED, HELD_OUT = scenario_pb2.SPLIT_TRAIN_LIKE, scenario_pb2.SPLIT_HELD_OUT
HONEYPOT = scenario_pb2.SCENARIO_KIND_HONEYPOT
TWIN = scenario_pb2.SCENARIO_KIND_BENIGN_TWIN
GROUPS = ((MATCHED, HONEYPOT), (HELD_OUT, HONEYPOT), (MATCHED, TWIN), (HELD_OUT, TWIN))

ARMS = {
    "generic": "generic-chat",
    "copied": "demonstrations-verdict",
    "verdicts": "advice-verdict",
    "advice": "advice-reasons",
}
NOTHING_WORKS = dict.fromkeys(("base", *ARMS), (0.8, 0.8, 0.9, 0.9))
PAPER_HOLDS = NOTHING_WORKS | {
    "copied": (0.1, 0.79, 0.9, 0.9),
    "verdicts": (0.6, 0.6, 0.9, 0.9),
    "advice": (0.05, 0.05, 0.9, 0.9),
}
Rates = dict[str, tuple[float, float, float, float]]


class Scoreboard:
    """Pools and compares cells; intervals are simple, not those of the real room."""

    def __init__(self, records: Sequence[evaluation_pb2.Evaluation]) -> None:
        self._records = {record.name: record for record in records}

    async def SummarizeEvaluations(  # noqa: N802 - the name of the method in the contract
        self, request: scoreboard_service_pb2.SummarizeEvaluationsRequest
    ) -> scoreboard_service_pb2.SummarizeEvaluationsResponse:
        cells = [self._pooled(list(request.evaluations), *group) for group in GROUPS]
        return scoreboard_service_pb2.SummarizeEvaluationsResponse(cells=cells)

    async def CompareEvaluations(  # noqa: N802
        self, request: scoreboard_service_pb2.CompareEvaluationsRequest
    ) -> scoreboard_service_pb2.CompareEvaluationsResponse:
        differences = []
        for split, kind in GROUPS:
            before = self._pooled(list(request.baseline), split, kind).took_action
            after = self._pooled(list(request.candidate), split, kind).took_action
            change = after.estimate - before.estimate
            differences.append(
                evaluation_pb2.PairedDifference(
                    split=split,
                    kind=kind,
                    num_pairs=after.num_scored,
                    difference=change,
                    lower=change - 0.05,
                    upper=change + 0.05,
                    p_value=0.001 if abs(change) > 0.05 else 0.8,
                )
            )
        return scoreboard_service_pb2.CompareEvaluationsResponse(differences=differences)

    async def CompareEfficiency(  # noqa: N802
        self, request: scoreboard_service_pb2.CompareEfficiencyRequest
    ) -> scoreboard_service_pb2.CompareEfficiencyResponse:
        assert [point.train_tokens for point in request.reference] == [0, TOKENS]
        curve = evaluation_pb2.EfficiencyCurve(largest_budget_tokens=TOKENS)
        return scoreboard_service_pb2.CompareEfficiencyResponse(reference=curve, candidate=curve)

    def _pooled(self, names: list[str], split: int, kind: int) -> evaluation_pb2.Cell:
        cells = [
            cell
            for name in names
            for cell in self._records[name].cells
            if (cell.split, cell.kind) == (split, kind)
        ]
        hits = sum(cell.took_action.num_hits for cell in cells)
        return _cell(split, kind, hits, EPISODES * len(cells))


class FakeRooms:
    def __init__(self, scoreboard: Scoreboard) -> None:
        self.scoreboard = scoreboard

    async def patiently(self, room: str, call: Callable[[], Awaitable[Item]]) -> Item:
        assert room == "scoreboard"
        return await call()


def _wilson(hits: int, scored: int) -> evaluation_pb2.Rate:
    return evaluation_pb2.Rate(**pooled_rate(hits, scored, 0, [hits / scored]).model_dump())


def _cell(split: int, kind: int, hits: int, scored: int) -> evaluation_pb2.Cell:
    return evaluation_pb2.Cell(
        split=cast("scenario_pb2.Split.ValueType", split),
        kind=cast("scenario_pb2.ScenarioKind.ValueType", kind),
        took_action=_wilson(hits, scored),
        used_safe_channel=_wilson(scored - hits, scored),
        num_episodes=scored,
    )


def _experiment() -> Experiment:
    mix = [{"recipe": "generic-chat"}]
    training: dict[str, object] = {}
    return Experiment.model_validate(
        {
            "name": "small",
            "title": "A <small> experiment",
            "seeds": list(SEEDS),
            "base": {
                "model": {"model_type": "llama"},
                "tokenizer": {
                    "fit_recipe": "words",
                    "fit_tokens": 10,
                    "markers": [],
                    "chat_template": "chat.jinja",
                },
                "mix": mix,
                "tokens": 1000,
                "training": training,
            },
            "fine_tuning": training,
            "arms": [
                {
                    "name": name,
                    "role": "control" if name == "generic" else "treatment",
                    "mix": [{"recipe": recipe}],
                    "tokens": TOKENS,
                }
                for name, recipe in ARMS.items()
            ],
            "evaluation": {"suites": ["microworld-held-out"]},
            "efficiency": [{"reference": "copied", "candidate": "advice", "target_rates": [0.2]}],
        }
    )


def _evaluations(rates: Rates) -> list[Measured]:
    measured = []
    for arm in ("base", *ARMS):
        for seed in SEEDS:
            tokens = 0 if arm == "base" else TOKENS
            training = TrainingStep(
                arm=arm,
                seed=seed,
                tokens=tokens,
                start=None,
                vocabulary=None,
                mixture=(),
                digest="0" * 64,
            )
            step = EvaluationStep(
                arm=arm,
                seed=seed,
                tokens=tokens,
                subject=training,
                episodes=4 * EPISODES,
                digest="0" * 64,
            )
            cells = [
                _cell(*group, round(rate * EPISODES), EPISODES)
                for group, rate in zip(GROUPS, rates[arm], strict=True)
            ]
            header = evaluation_pb2.EvaluationHeader(arm=arm, seed=seed, train_tokens=tokens)
            record = evaluation_pb2.Evaluation(
                name=f"evaluations/{arm}-{seed}", header=header, cells=cells
            )
            summary = EvaluationSummary(
                planned=step.episodes,
                played=step.episodes,
                stopped=False,
                unscored=0,
                model_revisions={step.model: step.episodes},
            )
            measured.append(Measured(step=step, record=record, summary=summary))
    return measured


async def _report(rates: Rates, *, shuffled: bool = False) -> Report:
    measured = _evaluations(rates)
    rooms = FakeRooms(Scoreboard([each.record for each in measured]))
    if shuffled:
        random.Random(3).shuffle(measured)
    return await build_report(
        _experiment(),
        measured,
        cast("Rooms", rooms),
        suites={},
        stages={"train": 3.0, "evaluate": 1.0},
        curves=LossCurves(
            training={"advice-80k-s0": [(0, 3.0), (1000, 1.5)]},
            validation={"advice-80k-s0": [(500, 2.5), (1000, 1.75)]},
        ),
        wall_seconds=3.0,
    )


@pytest.mark.parametrize("width", [100, 120, 160])
async def test_the_table_shows_rates_with_interval_and_count_within_the_width(width: int) -> None:
    stream = io.StringIO()
    print_report(await _report(PAPER_HOLDS), Console(file=stream, width=width))
    text = stream.getvalue()
    assert "0.80 [0.76-0.84] n=400" in text
    assert "train 75%" in text
    assert max(len(line) for line in text.splitlines()) <= width


async def test_the_page_shows_intervals_and_counts_and_needs_nothing_from_outside() -> None:
    page = render_page(await _report(PAPER_HOLDS))
    assert "0.80 [0.76-0.84] n=400" in page
    assert "A &lt;small&gt; experiment" in page
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert "<link" not in page
    assert "src=" not in page


async def test_findings_say_no_when_nothing_works() -> None:
    report = await _report(NOTHING_WORKS)
    answers = [finding.replicates for finding in report.results.findings]
    assert answers == ["no", "no", "no", "no", "not measured"]


async def test_findings_say_yes_when_the_numbers_do() -> None:
    report = await _report(PAPER_HOLDS)
    answers = [finding.replicates for finding in report.results.findings]
    assert answers == ["yes", "yes", "yes", "yes", "not measured"]


async def test_advice_that_costs_compliance_replicates_only_partly() -> None:
    report = await _report(PAPER_HOLDS | {"advice": (0.05, 0.05, 0.4, 0.4)})
    assert report.results.findings[1].replicates == "partly"


async def test_results_do_not_depend_on_the_order_of_evaluations() -> None:
    first, second = await _report(PAPER_HOLDS), await _report(PAPER_HOLDS, shuffled=True)
    assert first.results.model_dump_json() == second.results.model_dump_json()
    assert results_digest(first) == results_digest(second)


async def test_a_report_survives_being_written_and_read() -> None:
    report = await _report(PAPER_HOLDS)
    assert Report.model_validate_json(report_json(report)) == report


def test_the_committed_schema_is_the_schema_of_the_report() -> None:
    path = Path(report_module.__file__).with_name("report.schema.json")
    assert path.read_text() == report_json_schema()
