"""The page of numbers from what scoreboard and judge say. Computes no statistics of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from teachwhy.judge.v1 import calibration_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2

from pipelines.experiment.judging import JudgingSummary
from pipelines.experiment.panel_facts import PanelFacts
from pipelines.experiment.report_families import KINDS
from pipelines.experiment.report_numbers import (
    Agreement,
    Calibration,
    CaseErrors,
    Corrected,
    ErrorRate,
    GroupDifference,
    Macro,
    NumberRow,
    PanelRow,
    ReasonPart,
    ReasonRow,
    Split,
)
from pipelines.experiment.report_rates import report_rate
from pipelines.experiment.spec_panel import Panel

SPLITS: Mapping[int, Split] = {
    scenario_pb2.SPLIT_TRAIN_LIKE: "train-like",
    scenario_pb2.SPLIT_NEAR: "near",
    scenario_pb2.SPLIT_HELD_OUT: "held-out",
    scenario_pb2.SPLIT_CONTROL: "control",
}

MOST_GROUPS = 12
"""Groups of reasons that a report lists."""


def number_rows(arm: str, tokens: int, cells: Sequence[evaluation_pb2.Cell]) -> Iterator[NumberRow]:
    """Make a row for each cell but those of suites: by split and kind, the whole and its parts."""
    order = sorted(
        (cell for cell in cells if not cell.suite),
        key=lambda cell: (cell.split, cell.kind, bool(cell.family), cell.family, cell.label),
    )
    for cell in order:
        yield NumberRow(
            arm=arm,
            tokens=tokens,
            split=SPLITS[cell.split],
            kind=KINDS[cell.kind],
            family=cell.family,
            label=cell.label,
            episodes=cell.num_episodes,
            unscored=cell.unscored,
            truncated=cell.truncated,
            acted=cell.acted,
            took_action=report_rate(cell.took_action),
            used_safe_channel=report_rate(cell.used_safe_channel),
            macro_took_action=_macro(cell),
            opinion_took_bait=report_rate(cell.opinion_took_bait)
            if cell.HasField("opinion_took_bait")
            else None,
            corrected_took_bait=_corrected(cell),
            layers_disagree=cell.layers_disagree,
        )


def _macro(cell: evaluation_pb2.Cell) -> Macro | None:
    if not cell.HasField("macro_took_action"):
        return None
    found = cell.macro_took_action
    return Macro(
        estimate=found.estimate,
        lower=found.lower,
        upper=found.upper,
        num_families=found.num_families,
        num_clusters=found.num_clusters,
    )


def _corrected(cell: evaluation_pb2.Cell) -> Corrected | None:
    if not cell.HasField("corrected_took_bait"):
        return None
    found = cell.corrected_took_bait
    return Corrected(estimate=found.estimate, lower=found.lower, upper=found.upper)


def group_differences(
    differences: Sequence[evaluation_pb2.PairedDifference],
) -> list[GroupDifference]:
    """Write paired differences as the report has them, each whole group before its families."""
    order = sorted(differences, key=lambda each: (each.split, each.kind, each.family))
    return [
        GroupDifference(
            split=SPLITS[each.split],
            kind=KINDS[each.kind],
            family=each.family,
            num_pairs=each.num_pairs,
            num_clusters=each.num_clusters,
            only_other=each.only_baseline,
            only_arm=each.only_candidate,
            difference=each.difference,
            lower=each.lower,
            upper=each.upper,
            p_value=each.p_value,
            q_value=each.q_value,
        )
        for each in order
    ]


def panel_row(
    arm: str, tokens: int, panel: Panel, facts: PanelFacts, summaries: Sequence[JudgingSummary]
) -> PanelRow:
    """Add up what was asked over all seeds."""
    revisions: dict[str, int] = {}
    for summary in summaries:
        for name, count in summary.judge_revisions.items():
            revisions[name] = revisions.get(name, 0) + count

    def total(field: str) -> int:
        return sum(getattr(summary, field) for summary in summaries)

    return PanelRow(
        arm=arm,
        tokens=tokens,
        rubric=f"{panel.rubric}@{facts.opinion_revision}",
        members=[member.label for member in panel.members],
        asks=panel.asks,
        episodes=total("episodes"),
        without_opinion=total("without_opinion"),
        layers_disagree=total("layers_disagree"),
        disagreeing=list(facts.disagreeing),
        answers=total("answers"),
        refusals=total("refusals"),
        errors=total("errors"),
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        judge_revisions=dict(sorted(revisions.items())),
    )


def reason_rows(arm: str, tokens: int, facts: PanelFacts) -> Iterator[ReasonRow]:
    """Make a row for each kind, for the bait taken and for not."""
    words = {str(word): word for word in KINDS.values()}
    for (kind, took_bait), grouped in facts.reasons.items():
        yield ReasonRow(
            arm=arm,
            tokens=tokens,
            kind=words[kind],
            took_bait=took_bait,
            episodes=grouped.episodes,
            with_reasons=grouped.with_reasons,
            num_groups=len(grouped.groups),
            groups=[
                ReasonPart(
                    reason=group.reason,
                    episodes=group.episodes,
                    wordings=group.wordings,
                    examples=list(group.examples),
                )
                for group in grouped.groups[:MOST_GROUPS]
            ],
        )


def calibration_part(found: calibration_pb2.Calibration) -> Calibration:
    """Write a calibration as the report has it."""
    return Calibration(
        digest=found.digest,
        rubric=f"{found.rubric}@{found.rubric_revision}",
        members=[f"{each.endpoint}/{each.model}" for each in found.members],
        episodes=found.num_episodes,
        unjudged=found.num_unjudged,
        false_positives=_error_rate(found.false_positives),
        false_negatives=_error_rate(found.false_negatives),
        cohens_kappa=found.cohens_kappa if found.HasField("cohens_kappa") else None,
        with_labels=_agreement(found.with_labels),
        within_panel=_agreement(found.within_panel),
        on_repeat=_agreement(found.on_repeat),
        on_reversal=_agreement(found.on_reversal) if found.HasField("on_reversal") else None,
        cases=[
            CaseErrors(
                case=each.case_name,
                num_trials=each.num_trials,
                num_errors=each.num_errors,
                num_unjudged=each.num_unjudged,
            )
            for each in found.cases
        ],
    )


def _error_rate(found: calibration_pb2.ErrorRate) -> ErrorRate:
    return ErrorRate(
        num_errors=found.num_errors,
        num_trials=found.num_trials,
        estimate=found.estimate if found.HasField("estimate") else None,
        lower=found.lower,
        upper=found.upper,
    )


def _agreement(found: calibration_pb2.Agreement) -> Agreement:
    return Agreement(
        num_items=found.num_items,
        raw=found.raw if found.HasField("raw") else None,
        kappa=found.kappa if found.HasField("kappa") else None,
        ac1=found.ac1 if found.HasField("ac1") else None,
        alpha=found.alpha if found.HasField("alpha") else None,
    )
