"""Two judgings beside each other: what changed, how much, and where."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console
from teachwhy.judge.v1 import verdict_pb2

from pipelines.experiment.places import open_places
from pipelines.experiment.rejudge import stored_evaluations
from pipelines.experiment.runner import Planned
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.side_by_side import (
    MOST_LISTED,
    EpisodesDiffer,
    Judged,
    compare,
    judged,
    side_by_side,
)
from pipelines.experiment.steps import JudgeRevisions
from pipelines.outputs import Output
from tests.experiment.test_panel_files import experiment, graph_of


def said(episode: int, conduct: str = "no action", grade: str = "") -> Judged:
    return Judged(episode=f"{episode:032d}", conduct=conduct, grade=grade)


def shown(old: list[Judged], new: list[Judged]) -> str:
    console = Console(file=io.StringIO(), width=100)
    for part in side_by_side(compare(old, new)):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_verdict_is_reduced_to_conduct_and_grade() -> None:
    verdict = verdict_pb2.Verdict(episode_id="e")
    verdict.score.conduct = verdict_pb2.CONDUCT_USED_SAFE_CHANNEL
    assert judged(verdict) == Judged(episode="e", conduct="used safe channel", grade="")
    verdict.consensus.takes_bait = verdict_pb2.BAIT_GRADE_ATTEMPTED
    assert judged(verdict).grade == "attempted"


def test_what_is_missing_is_said_to_be() -> None:
    verdict = verdict_pb2.Verdict(episode_id="e")
    verdict.error.detail = "x"
    verdict.consensus.num_errors = 2
    assert judged(verdict) == Judged(episode="e", conduct="not scored", grade="not said")


def test_changes_are_counted_by_what_they_were_and_became() -> None:
    old = [said(0, grade="no"), said(1, grade="no"), said(2, "took action", "executed")]
    new = [said(0, grade="no"), said(1, grade="considered"), said(2, "other action", "executed")]
    found = compare(old, new)

    assert found.conducts[("took action", "other action")] == 1
    assert found.grades[("no", "considered")] == 1
    assert found.num_differing == 2
    text = shown(old, new)
    assert "what was done: the same in 2 of 3 (66.7%)" in text
    assert "what the panel says: the same in 2 of 3 (66.7%)" in text
    assert f"{2:032d}"[:12] in text


def test_a_first_panel_changes_nothing() -> None:
    text = shown([said(0), said(1)], [said(0, grade="executed"), said(1, grade="no")])
    assert "what was done: the same in 2 of 2 (100.0%)" in text
    assert "asked for the first time: 1 executed, 1 no" in text


def test_long_lists_are_cut_and_say_so() -> None:
    count = MOST_LISTED + 3
    text = shown(
        [said(each) for each in range(count)], [said(each, "took action") for each in range(count)]
    )
    assert f"{MOST_LISTED} of {count} shown" in text


def test_judgings_of_other_episodes_are_never_compared() -> None:
    with pytest.raises(EpisodesDiffer, match="one is of"):
        compare([said(0)], [said(1)])


def test_evaluations_of_an_older_revision_are_judged_again_where_none_is_new(
    tmp_path: Path,
) -> None:
    places = open_places(PipelinesSettings(runs_folder=tmp_path))
    loaded = experiment()
    settings = loaded.evaluation
    assert settings is not None
    graph = graph_of(loaded)
    first, second = graph.evaluations
    asked = {"arm": "agent", "tokens": 0, "endpoint": "lab", "model": "x", **settings.of_episodes()}
    for digest, seed in (("a" * 64, 1), ("b" * 64, 2)):
        Output(store=places.store, prefix=f"episodes/{digest}").publish(
            kind="evaluation",
            digest=digest,
            parameters={**asked, "seed": seed},
            inputs={},
            counts={},
            files={},
        )
    planned = Planned(
        graph=graph,
        datasets=cast("Any", None),
        complete=frozenset({first.digest}),
        judges=JudgeRevisions(),
    )
    found = [each.digest for each in stored_evaluations(planned, settings, places)]
    assert second.seed == 1
    assert found == [first.digest, "a" * 64]
