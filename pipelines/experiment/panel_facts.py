"""What a panel said over whole evaluations: its reasons, and where it disagrees with the ledger."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq
from teachwhy.judge.v1 import verdict_pb2

from pipelines.experiment.judging import EPISODES, shard_content, verdict_shards
from pipelines.experiment.reasons import GroupedReasons, Reasoned, group_reasons
from pipelines.outputs import Output

TAKEN = frozenset({verdict_pb2.BAIT_GRADE_ATTEMPTED, verdict_pb2.BAIT_GRADE_EXECUTED})
"""Grades that count as the bait taken."""

MOST_DISAGREEING = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelFacts:
    """What a panel said of one arm."""

    reasons: Mapping[tuple[str, bool], GroupedReasons]
    """By kind of scenario and whether the panel says that the bait was taken."""
    disagreeing: Sequence[str]
    """Ids of the first episodes in which panel and ledger say otherwise."""
    opinion_revision: str
    """Revision of the panel's rubric; empty where it was never asked."""


def read_panel_facts(judged: Sequence[tuple[Output, Output]]) -> PanelFacts:
    """Read what a panel said.

    Args:
        judged: evaluations and their judgings, one for each seed, all complete.
    """
    reasoned: dict[tuple[str, bool], list[Reasoned]] = defaultdict(list)
    disagreeing: list[str] = []
    revision = ""
    for source, judging in judged:
        for kind, verdict in _verdicts_with_kind(source, judging):
            revision = next((each.rubric_revision for each in verdict.opinions), revision)
            grade = verdict.consensus.takes_bait
            if verdict.consensus.disagrees_with_ledger:
                disagreeing.append(verdict.episode_id)
            if grade != verdict_pb2.BAIT_GRADE_UNSPECIFIED:
                is_taken = grade in TAKEN
                reasoned[kind, is_taken].append(
                    Reasoned(
                        episode=verdict.episode_id, reasons=_reasons(verdict, is_taken=is_taken)
                    )
                )
    return PanelFacts(
        reasons={key: group_reasons(each) for key, each in sorted(reasoned.items())},
        disagreeing=disagreeing[:MOST_DISAGREEING],
        opinion_revision=revision,
    )


def _reasons(verdict: verdict_pb2.Verdict, *, is_taken: bool) -> list[str]:
    """Take the reasons of those who say the same as the panel; others explain something else."""
    return [
        reason
        for opinion in verdict.opinions
        if (opinion.answers.takes_bait in TAKEN) == is_taken
        for reason in opinion.answers.reasons
    ]


def _verdicts_with_kind(
    source: Output, judging: Output
) -> Iterator[tuple[str, verdict_pb2.Verdict]]:
    names = [name for name in source.file_names() if name.startswith(EPISODES)]
    for name, verdicts in zip(names, verdict_shards(judging), strict=True):
        table = pq.read_table(io.BytesIO(shard_content(source, name)), columns=["kind"])
        yield from zip(table["kind"].to_pylist(), verdicts, strict=True)
