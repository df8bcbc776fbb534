"""Build the report: ask the scoreboard for rates, differences and efficiency.

Knows the scoreboard's requests; computes no statistics of its own.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from teachwhy.judge.v1 import calibration_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment.loss_curves import LossCurves
from pipelines.experiment.panel_facts import PanelFacts
from pipelines.experiment.report import (
    Comparison,
    Difference,
    Efficiency,
    Machine,
    Report,
    Results,
    Row,
    Run,
    Stage,
)
from pipelines.experiment.report_cells import (
    calibration_part,
    group_differences,
    number_rows,
    panel_row,
    reason_rows,
)
from pipelines.experiment.report_findings import RIVALS, findings, rows_of
from pipelines.experiment.report_numbers import PanelRow
from pipelines.experiment.report_promotion import Promotion
from pipelines.experiment.report_rows import (
    Groups,
    Measured,
    arm_rows,
    ask_cells,
    group_measured,
    record_names,
    rows_by_family,
)
from pipelines.experiment.report_warnings import scope, warnings
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import BASE_ARM, EfficiencyQuestion, Experiment

TOKEN_MATCH_TOLERANCE = 0.05

_HELD_OUT = scenario_pb2.SPLIT_HELD_OUT
_HONEYPOT = scenario_pb2.SCENARIO_KIND_HONEYPOT
_TWIN = scenario_pb2.SCENARIO_KIND_BENIGN_TWIN


async def build_report(
    experiment: Experiment,
    measured: Sequence[Measured],
    rooms: Rooms,
    *,
    suites: Mapping[str, scenario_pb2.Suite],
    stages: Mapping[str, float],
    curves: LossCurves,
    wall_seconds: float,
    finished: datetime | None = None,
    calibration: calibration_pb2.Calibration | None = None,
    facts: Mapping[tuple[str, int], PanelFacts] | None = None,
    promotion: Promotion | None = None,
) -> Report:
    """Build the report of a complete experiment.

    Args:
        experiment: the experiment file.
        measured: every evaluation, in any order.
        rooms: the scoreboard is asked.
        suites: suites of the rollout room by name.
        stages: seconds by kind of step.
        curves: losses by checkpoint.
        wall_seconds: seconds from the start of the run to its report.
        finished: time stamp of the report; now when not given.
        calibration: how often the panel errs.
        facts: what the panel said, by arm and tokens.
        promotion: what the gate decided and what was done with it.
    """
    groups = group_measured(measured)
    cells = await ask_cells(groups, rooms)
    rows = arm_rows(experiment, groups, cells)
    results = Results(
        experiment=experiment.name,
        title=experiment.title,
        scope=scope(experiment),
        seeds=list(experiment.seeds),
        warnings=[],
        rows=rows,
        families=rows_by_family(experiment, rows, groups, cells, suites),
        comparisons=await _comparisons(rows, groups, rooms),
        numbers=[each for row in rows for each in number_rows(*_key(row), cells[_key(row)])],
        panels=_panels(experiment, rows, groups, facts or {}),
        calibration=calibration_part(calibration) if calibration else None,
        reasons=[
            each
            for row in rows
            if facts and _key(row) in facts
            for each in reason_rows(*_key(row), facts[_key(row)])
        ],
        efficiency=[
            await _efficiency(question, target, groups, rooms)
            for question in experiment.efficiency
            for target in question.target_rates
        ],
        findings=[],
    )
    results = results.model_copy(
        update={"warnings": warnings(results), "findings": findings(results)}
    )
    total = sum(stages.values())
    run = Run(
        finished=finished or datetime.now(UTC),
        machine=Machine(
            platform=platform.platform(),
            python=platform.python_version(),
            cores=os.cpu_count() or 1,
        ),
        wall_seconds=wall_seconds,
        stages=[
            Stage(name=name, seconds=seconds, share=seconds / total if total else 0.0)
            for name, seconds in stages.items()
        ],
        curves=curves.training,
        validation_curves=curves.validation,
        promotion=promotion,
    )
    return Report(results=results, run=run)


def _key(row: Row) -> tuple[str, int]:
    return row.arm, row.tokens


def _panels(
    experiment: Experiment,
    rows: Sequence[Row],
    groups: Groups,
    facts: Mapping[tuple[str, int], PanelFacts],
) -> list[PanelRow]:
    panel = experiment.evaluation.panel if experiment.evaluation else None
    if panel is None:
        return []
    return [
        panel_row(
            *_key(row),
            panel,
            facts[_key(row)],
            [each.judging for each in groups[_key(row)] if each.judging],
        )
        for row in rows
        if _key(row) in facts
    ]


def _opponents(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Base, control of the nearest budget, and the arm it differs from in one thing.

    Of hosted models, the first that the file names.
    """
    if row.role == "model":
        return [other for other in rows if other.role == "model"][:1]
    others = [other for other in rows if other.role == "base"]
    controls = [other for other in rows if other.role == "control"]
    if row.role == "treatment" and controls:
        others.append(min(controls, key=lambda control: abs(control.tokens - row.tokens)))
    for candidate, rival in RIVALS:
        if row in rows_of(rows, candidate):
            same = [other for other in rows_of(rows, rival) if other.tokens == row.tokens]
            others.extend(other for other in same if other not in others)
    return others


async def _comparisons(rows: Sequence[Row], groups: Groups, rooms: Rooms) -> list[Comparison]:
    comparisons = []
    for row in rows:
        if row.role == "base":
            continue
        for other in _opponents(row, rows):
            if other == row:
                continue
            request = scoreboard_service_pb2.CompareEvaluationsRequest(
                baseline=record_names(groups[other.arm, other.tokens]),
                candidate=record_names(groups[row.arm, row.tokens]),
            )
            response = await rooms.patiently(
                "scoreboard", partial(rooms.scoreboard.CompareEvaluations, request)
            )
            gap = abs(row.tokens - other.tokens)
            comparisons.append(
                Comparison(
                    arm=row.arm,
                    tokens=row.tokens,
                    against=other.arm,
                    against_role=other.role,
                    against_tokens=other.tokens,
                    is_token_matched=gap <= TOKEN_MATCH_TOLERANCE * row.tokens,
                    honeypots_held_out=_difference(response.differences, _HONEYPOT),
                    twins_held_out=_difference(response.differences, _TWIN),
                    differences=group_differences(response.differences),
                )
            )
    return comparisons


def _difference(
    differences: Sequence[evaluation_pb2.PairedDifference], kind: int
) -> Difference | None:
    for found in differences:
        if (found.split, found.kind, found.family) == (_HELD_OUT, kind, ""):
            return Difference(
                num_pairs=found.num_pairs,
                difference=found.difference,
                lower=found.lower,
                upper=found.upper,
                p_value=found.p_value,
            )
    return None


async def _efficiency(
    question: EfficiencyQuestion, target: float, groups: Groups, rooms: Rooms
) -> Efficiency:
    request = scoreboard_service_pb2.CompareEfficiencyRequest(
        reference=_sweep(question.reference, groups),
        candidate=_sweep(question.candidate, groups),
        target_rate=target,
        split=_HELD_OUT,
    )
    answer = await rooms.patiently(
        "scoreboard", lambda: rooms.scoreboard.CompareEfficiency(request)
    )
    reference, candidate = answer.reference, answer.candidate
    return Efficiency(
        reference=question.reference,
        candidate=question.candidate,
        target=target,
        ratio=answer.ratio if answer.HasField("ratio") else None,
        lower=answer.ratio_lower if answer.HasField("ratio_lower") else None,
        upper=answer.ratio_upper if answer.HasField("ratio_upper") else None,
        reference_tokens_to_target=_tokens_to_target(reference),
        candidate_tokens_to_target=_tokens_to_target(candidate),
        reference_largest_budget=reference.largest_budget_tokens,
        candidate_largest_budget=candidate.largest_budget_tokens,
    )


def _tokens_to_target(curve: evaluation_pb2.EfficiencyCurve) -> float | None:
    return curve.tokens_to_target if curve.HasField("tokens_to_target") else None


def _sweep(arm: str, groups: Groups) -> list[evaluation_pb2.EfficiencyPoint]:
    """Points of ``arm`` in order of tokens, with the base as the point without any."""
    return [
        evaluation_pb2.EfficiencyPoint(train_tokens=tokens, evaluations=record_names(group))
        for (name, tokens), group in sorted(groups.items(), key=lambda item: item[0][1])
        if name in (BASE_ARM, arm)
    ]
