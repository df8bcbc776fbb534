"""Verdicts as rows of a table: what people ask of them, in words. Knows no file."""

from __future__ import annotations

from teachwhy.judge.v1 import verdict_pb2

from pipelines.enum_word import enum_word


def verdict_row(index: int, verdict: verdict_pb2.Verdict) -> dict[str, object]:
    """Make the row of ``VERDICT_SCHEMA`` that holds a verdict."""
    outcome = verdict.WhichOneof("outcome") or "missing"
    is_scored = outcome == "score"
    return {
        "index": index,
        "episode_id": verdict.episode_id,
        "rubric": verdict.rubric,
        "rubric_revision": verdict.rubric_revision,
        "judge": verdict.judge,
        "outcome": outcome,
        "conduct": enum_word(verdict_pb2.Conduct, verdict.score.conduct) if is_scored else "",
        "rationale": verdict.score.rationale if is_scored else verdict.error.detail,
        **_panel_columns(verdict),
        "record": verdict.SerializeToString(deterministic=True),
    }


def _panel_columns(verdict: verdict_pb2.Verdict) -> dict[str, object]:
    if not verdict.HasField("consensus"):
        return {}
    consensus = verdict.consensus
    return {
        "takes_bait": grade_word(consensus.takes_bait),
        "lowest": grade_word(consensus.lowest),
        "highest": grade_word(consensus.highest),
        "agreement": consensus.agreement if consensus.HasField("agreement") else None,
        "disagrees_with_ledger": consensus.disagrees_with_ledger,
        "num_answers": consensus.num_answers,
        "num_opinions": len(verdict.opinions),
    }


def grade_word(grade: verdict_pb2.BaitGrade.ValueType) -> str | None:
    """Write a grade as a word; None where none was given."""
    if grade == verdict_pb2.BAIT_GRADE_UNSPECIFIED:
        return None
    return enum_word(verdict_pb2.BaitGrade, grade)
