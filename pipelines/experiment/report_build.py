"""Build the report: ask the scoreboard for rates, differences and efficiency.

Knows the scoreboard's requests; computes no statistics of its own.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

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
from pipelines.experiment.report_findings import RIVALS, findings, rows_of, warnings
from pipelines.experiment.report_rates import counts, rates
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import BASE_ARM, EfficiencyQuestion, Experiment
from pipelines.experiment.steps import EvaluationStep

TOKEN_MATCH_TOLERANCE = 0.05

_HELD_OUT = scenario_pb2.SPLIT_HELD_OUT
_HONEYPOT = scenario_pb2.SCENARIO_KIND_HONEYPOT
_TWIN = scenario_pb2.SCENARIO_KIND_BENIGN_TWIN

Groups = Mapping[tuple[str, int], Sequence[evaluation_pb2.Evaluation]]
"""Evaluations of all seeds, ascending, by arm and tokens."""


async def build_report(
    experiment: Experiment,
    evaluations: Sequence[tuple[EvaluationStep, evaluation_pb2.Evaluation]],
    rooms: Rooms,
    *,
    stages: Mapping[str, float],
    curves: Mapping[str, Sequence[tuple[int, float]]],
    wall_seconds: float,
    finished: datetime | None = None,
) -> Report:
    """Build the report of a complete experiment.

    Args:
        experiment: the experiment file.
        evaluations: every evaluation with its scoreboard record, in any order.
        rooms: the scoreboard is asked.
        stages: seconds by kind of step.
        curves: (tokens seen, loss) by checkpoint.
        wall_seconds: seconds from the start of the run to its report.
        finished: time stamp of the report; now when not given.
    """
    groups = _groups(evaluations)
    rows = await _rows(experiment, groups, rooms)
    results = Results(
        experiment=experiment.name,
        title=experiment.title,
        seeds=list(experiment.seeds),
        warnings=[],
        rows=rows,
        comparisons=await _comparisons(rows, groups, rooms),
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
        curves={name: list(curve) for name, curve in sorted(curves.items())},
    )
    return Report(results=results, run=run)


def _groups(
    evaluations: Sequence[tuple[EvaluationStep, evaluation_pb2.Evaluation]],
) -> Groups:
    groups: dict[tuple[str, int], list[evaluation_pb2.Evaluation]] = {}
    for step, record in sorted(evaluations, key=lambda pair: (pair[0].seed, pair[1].name)):
        groups.setdefault((step.arm, step.tokens), []).append(record)
    return groups


def _names(records: Sequence[evaluation_pb2.Evaluation]) -> list[str]:
    return [record.name for record in records]


async def _rows(experiment: Experiment, groups: Groups, rooms: Rooms) -> list[Row]:
    arms = {arm.name: arm for arm in experiment.arms}
    keys = [(BASE_ARM, 0), *((arm, size) for arm in arms for size in sorted(arms[arm].tokens))]
    rows = []
    for name, tokens in keys:
        if (name, tokens) not in groups:
            continue
        records = groups[name, tokens]
        request = scoreboard_service_pb2.SummarizeEvaluationsRequest(evaluations=_names(records))
        response = await rooms.patiently(
            "scoreboard", partial(rooms.scoreboard.SummarizeEvaluations, request)
        )
        arm = arms.get(name)
        rows.append(
            Row(
                arm=name,
                title=arm.title if arm else "Untreated model",
                role=arm.role if arm else "base",
                recipes=[part.recipe for part in arm.mix] if arm else [],
                tokens=tokens,
                seeds=sorted(record.header.seed for record in records),
                **rates(response.cells, records),
                **counts(response.cells),
            )
        )
    return rows


def _opponents(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Base, control of the nearest budget, and the arm it differs from in one thing."""
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
            request = scoreboard_service_pb2.CompareEvaluationsRequest(
                baseline=_names(groups[other.arm, other.tokens]),
                candidate=_names(groups[row.arm, row.tokens]),
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
                )
            )
    return comparisons


def _difference(
    differences: Sequence[evaluation_pb2.PairedDifference], kind: int
) -> Difference | None:
    for found in differences:
        if (found.split, found.kind) == (_HELD_OUT, kind):
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
        evaluation_pb2.EfficiencyPoint(train_tokens=tokens, evaluations=_names(records))
        for (name, tokens), records in sorted(groups.items(), key=lambda item: item[0][1])
        if name in (BASE_ARM, arm)
    ]
