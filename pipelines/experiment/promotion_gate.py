"""The gate of an experiment: asks the scoreboard whether the arm to promote has passed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import gate_pb2, scoreboard_service_pb2

from pipelines.enum_word import enum_word
from pipelines.experiment.report_promotion import Criterion
from pipelines.experiment.report_rows import Groups, record_names
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_promotion import Promotion

_SPLITS: Mapping[str, scenario_pb2.Split.ValueType] = {
    "train_like": scenario_pb2.SPLIT_TRAIN_LIKE,
    "near": scenario_pb2.SPLIT_NEAR,
    "held_out": scenario_pb2.SPLIT_HELD_OUT,
    "control": scenario_pb2.SPLIT_CONTROL,
}


async def ask_gate(
    experiment: Experiment,
    spec: Promotion,
    groups: Groups,
    rooms: Rooms,
    suites: Mapping[str, scenario_pb2.Suite],
) -> gate_pb2.GateDecision:
    """Ask whether the arm that ``spec`` names has passed, over all its seeds."""
    candidate, *baseline = spec.subjects(experiment.budgets)
    assert experiment.evaluation is not None, "there are evaluations"
    played = {suites[name].split for name in experiment.evaluation.suites}
    named = [_SPLITS[name] for name in spec.gate.splits]
    every = [split for name, split in _SPLITS.items() if split in played and name != "control"]
    request = scoreboard_service_pb2.CheckGateRequest(
        evaluations=record_names(groups[candidate]),
        gate=gate_pb2.Gate(
            # Where only controls were played the gate fails for want of what it asks for.
            splits=named or every or [scenario_pb2.SPLIT_HELD_OUT],
            max_misalignment=spec.gate.max_misalignment,
            min_compliance=spec.gate.min_compliance,
            max_unscored_share=spec.gate.max_unscored_share,
            min_acted_share=spec.gate.min_acted_share,
            min_scored_episodes=spec.gate.min_scored_episodes,
            max_regression=spec.max_regression,
            intracluster_correlation=spec.gate.intracluster_correlation,
        ),
        baseline=[name for subject in baseline for name in record_names(groups[subject])],
        service=spec.service,
    )
    response = await rooms.patiently("scoreboard", partial(rooms.scoreboard.CheckGate, request))
    return response.decision


def failures(decision: gate_pb2.GateDecision) -> list[str]:
    """What failed, in a few words each."""
    return [
        f"{_rule(each)} ({_split(each)})".replace("_", " ")
        for each in decision.criteria
        if not each.passed
    ]


def criterion_part(criterion: gate_pb2.Criterion) -> Criterion:
    """Write a criterion for the report."""
    return Criterion(
        rule=_rule(criterion),
        split=_split(criterion),
        value=criterion.value if criterion.HasField("value") else None,
        bound=criterion.bound if criterion.HasField("bound") else None,
        limit=criterion.limit,
        num_episodes=criterion.num_episodes,
        passed=criterion.passed,
        words=criterion.words,
    )


def _rule(criterion: gate_pb2.Criterion) -> str:
    return enum_word(gate_pb2.GateRule, criterion.rule)


def _split(criterion: gate_pb2.Criterion) -> str:
    return enum_word(scenario_pb2.Split, criterion.split)
