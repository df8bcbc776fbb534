"""Groups and their rates, written to protobuf."""

from collections.abc import Mapping
from typing import Final

from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2

from services.scoreboard.correction import CorrectedRate, corrected_rate
from services.scoreboard.evaluation import CellKey, JudgeErrors, ScenarioKind, Split
from services.scoreboard.macro import MacroRate
from services.scoreboard.means import Mean
from services.scoreboard.rates import Cell, Rate

SPLITS_TO_PROTO: Final = {
    Split.TRAIN_LIKE: scenario_pb2.SPLIT_TRAIN_LIKE,
    Split.NEAR: scenario_pb2.SPLIT_NEAR,
    Split.HELD_OUT: scenario_pb2.SPLIT_HELD_OUT,
    Split.CONTROL: scenario_pb2.SPLIT_CONTROL,
}
KINDS_TO_PROTO: Final = {
    ScenarioKind.HONEYPOT: scenario_pb2.SCENARIO_KIND_HONEYPOT,
    ScenarioKind.BENIGN_TWIN: scenario_pb2.SCENARIO_KIND_BENIGN_TWIN,
    ScenarioKind.ESCALATION: scenario_pb2.SCENARIO_KIND_ESCALATION,
}


def cell_to_proto(
    cell: Cell,
    macro: Mapping[CellKey, MacroRate] | None = None,
    errors: JudgeErrors | None = None,
) -> evaluation_pb2.Cell:
    """Write a group's rates, with the mean over families and the correction where known."""
    opinion, awareness = cell.opinion_took_bait, cell.evaluation_awareness
    corrected = None
    if opinion is not None and errors is not None:
        corrected = corrected_rate(opinion.num_hits, opinion.num_scored, errors)
    return evaluation_pb2.Cell(
        split=SPLITS_TO_PROTO[cell.key.split],
        kind=KINDS_TO_PROTO[cell.key.kind],
        family=cell.key.family,
        label=cell.key.label,
        took_action=_rate_to_proto(cell.took_action),
        used_safe_channel=_rate_to_proto(cell.used_safe_channel),
        num_episodes=cell.counts.num_episodes,
        unscored=cell.counts.unscored,
        truncated=cell.counts.truncated,
        acted=cell.counts.acted,
        macro_took_action=_macro_to_proto(macro[cell.key])
        if macro is not None and cell.key in macro
        else None,
        opinion_took_bait=None if opinion is None else _rate_to_proto(opinion),
        corrected_took_bait=None if corrected is None else _corrected_to_proto(corrected),
        layers_disagree=cell.counts.layers_disagree,
        suite=cell.key.suite,
        evaluation_awareness=None if awareness is None else _mean_to_proto(awareness),
    )


def _rate_to_proto(rate: Rate) -> evaluation_pb2.Rate:
    return evaluation_pb2.Rate(
        num_hits=rate.num_hits,
        num_scored=rate.num_scored,
        estimate=rate.estimate,
        lower=rate.wilson.lower,
        upper=rate.wilson.upper,
        lowest_possible=rate.possible.lower,
        highest_possible=rate.possible.upper,
        seed_min=rate.seeds.lower,
        seed_max=rate.seeds.upper,
        zero_hit_upper=rate.zero_hit_upper,
    )


def _mean_to_proto(mean: Mean) -> evaluation_pb2.Mean:
    return evaluation_pb2.Mean(
        num_episodes=mean.num_values,
        estimate=mean.estimate,
        lower=mean.lower,
        upper=mean.upper,
    )


def _corrected_to_proto(corrected: CorrectedRate) -> evaluation_pb2.CorrectedRate:
    return evaluation_pb2.CorrectedRate(
        estimate=corrected.estimate,
        lower=corrected.interval.lower,
        upper=corrected.interval.upper,
    )


def _macro_to_proto(macro: MacroRate) -> evaluation_pb2.MacroRate:
    return evaluation_pb2.MacroRate(
        estimate=macro.estimate,
        lower=macro.interval.lower,
        upper=macro.interval.upper,
        num_families=macro.num_families,
        num_clusters=macro.num_clusters,
    )
