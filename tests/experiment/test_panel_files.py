"""A panel in an experiment file: what is allowed, and what depends on it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError
from rich.console import Console

from pipelines.experiment.judge_endpoints import check_judges
from pipelines.experiment.layout import build_graph
from pipelines.experiment.panel_file import PanelNotReadable, load_panel, panel_of_options
from pipelines.experiment.panel_plan import panel_costs
from pipelines.experiment.places import open_places
from pipelines.experiment.plan_tables import print_plan
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.runner import Planned
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.shards import encode_episodes
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_panel import Panel
from pipelines.experiment.steps import JudgeRevisions, Revisions, StepGraph, inputs_of
from tests.experiment.test_step_graph import FakeDatasets
from tests.experiment.workplace_episodes import episode

LAB = {"endpoint": "lab", "model": "judge-1"}
OTHER = {"endpoint": "lab", "model": "judge-2"}
JUDGES = JudgeRevisions(
    rubric="ledger-1", opinion_rubric="conduct-1", gold_set="gold-1", gold_episodes=120
)


def experiment(**panel: object) -> Experiment:
    evaluation: dict[str, object] = {"suites": ["near"]}
    if panel:
        evaluation["panel"] = {"members": [LAB], **panel}
    return Experiment.model_validate(
        {
            "name": "hosted",
            "title": "Hosted",
            "seeds": [0, 1],
            "models": [{"name": "agent", "endpoint": "lab", "model": "x"}],
            "evaluation": evaluation,
        }
    )


def graph_of(of: Experiment, judges: JudgeRevisions = JUDGES) -> StepGraph:
    revisions = Revisions(
        datasets=FakeDatasets(),
        suites={"near": "suite-1"},
        episodes_by_suite={"near": 10},
        judges=judges,
        training_code="",
        serving_code="",
        chat_template="",
    )
    return build_graph(of, revisions)


def digests(graph: StepGraph) -> dict[str, list[str]]:
    return {
        "evaluations": [each.digest for each in graph.evaluations],
        "calibration": [graph.calibration.digest] if graph.calibration else [],
        "judgings": [each.digest for each in graph.judgings],
    }


def differing(before: StepGraph, after: StepGraph) -> set[str]:
    return {name for name, values in digests(before).items() if digests(after)[name] != values}


# The file.


@pytest.mark.parametrize(
    ("panel", "said"),
    [
        ({"members": []}, "at least 1"),
        ({"members": [LAB, LAB]}, "members lists 'lab/judge-1' twice; use samples"),
        ({"samples": 10}, "less than or equal to 9"),
        ({"judges": [LAB]}, "Extra inputs"),
    ],
)
def test_a_panel_that_cannot_be_is_refused(panel: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        experiment(**panel)


def test_a_file_without_a_panel_asks_nobody() -> None:
    graph = graph_of(experiment())
    assert (graph.calibration, graph.judgings) == (None, ())


@pytest.mark.parametrize(
    ("panel", "asks"),
    [
        ({}, 1),
        ({"members": [LAB, OTHER]}, 2),
        ({"members": [LAB, OTHER], "samples": 3}, 6),
        ({"members": [LAB, OTHER], "samples": 3, "reversed_too": True}, 12),
    ],
)
def test_a_panel_knows_how_often_it_is_asked(panel: dict[str, object], asks: int) -> None:
    assert Panel.model_validate({"members": [LAB], **panel}).asks == asks


def test_every_evaluation_is_judged_and_one_calibration_serves_all() -> None:
    graph = graph_of(experiment(samples=1))
    assert [inputs_of(each) for each in graph.judgings] == [(each,) for each in graph.evaluations]
    assert graph.calibration is not None
    assert graph.calibration.episodes == 120
    assert len({step.digest for step in graph.steps}) == len(graph.steps) == 5


# Digests.


def test_a_panel_plays_nothing_anew() -> None:
    before, after = graph_of(experiment()), graph_of(experiment(samples=1))
    assert "evaluations" not in differing(before, after)


@pytest.mark.parametrize(
    "panel",
    [{"members": [OTHER]}, {"samples": 2}, {"reversed_too": True}, {"rubric": "other"}],
)
def test_another_panel_is_another_judging_and_calibration(panel: dict[str, object]) -> None:
    before = graph_of(experiment(samples=1))
    assert differing(before, graph_of(experiment(**panel))) == {"calibration", "judgings"}


def test_whether_it_is_calibrated_changes_no_judging() -> None:
    before, after = graph_of(experiment(samples=1)), graph_of(experiment(calibrate=False))
    assert after.calibration is None
    assert differing(before, after) == {"calibration"}


@pytest.mark.parametrize(
    ("news", "changed"),
    [
        ({"opinion_rubric": "conduct-2"}, {"calibration", "judgings"}),
        ({"gold_set": "gold-2"}, {"calibration"}),
        ({"rubric": "ledger-2"}, {"evaluations", "judgings"}),
    ],
)
def test_revisions_of_the_judge_room_change_what_depends_on_them(
    news: dict[str, str], changed: set[str]
) -> None:
    before = graph_of(experiment(samples=1))
    judges = replace(JUDGES, **news)  # type: ignore[arg-type]
    assert differing(before, graph_of(experiment(samples=1), judges)) == changed


# Endpoints.


def test_an_endpoint_that_is_missing_is_said_with_an_example(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUDGE_ENDPOINTS", '{"other": {"base_url": "http://127.0.0.1:9/v1"}}')
    with pytest.raises(ExperimentImpossible) as refused:
        check_judges(Panel.model_validate({"members": [LAB]}))
    assert str(refused.value) == (
        "evaluation.panel.members[0].endpoint: the setting JUDGE_ENDPOINTS has no endpoint 'lab'; "
        "it has other. Example: "
        'JUDGE_ENDPOINTS=\'{"lab": {"base_url": "https://host/v1", "api_key_file": "/run/key"}}\''
    )


def test_a_setting_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_ENDPOINTS", "no JSON")
    with pytest.raises(ExperimentImpossible, match="invalid setting JUDGE_ENDPOINTS"):
        check_judges(Panel.model_validate({"members": [LAB]}))
    check_judges(None)


# Panels outside an experiment.


def test_a_panel_is_read_from_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "panel.yaml"
    path.write_text("members: [{endpoint: lab, model: judge-1}]\nsamples: 2\n", encoding="utf-8")
    assert load_panel(path) == Panel.model_validate({"members": [LAB], "samples": 2})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("members: [", "is no YAML"),
        ("[]", "must be a mapping with the keys rubric, members"),
        ("members: []", "members: tuple should have at least 1 item"),
        ("members: [{endpoint: lab, model: m}]\nsample: 2", "sample: unknown key; allowed: rubric"),
    ],
)
def test_a_panel_file_that_is_wrong_is_said_in_one_line(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "panel.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PanelNotReadable, match=said):
        load_panel(path)


def test_a_panel_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PanelNotReadable, match="cannot be read: No such file"):
        load_panel(tmp_path / "none.yaml")


def test_judges_are_given_as_endpoint_and_model() -> None:
    panel = panel_of_options(["lab/org/judge-1"], rubric="", samples=2, reversed_too=True)
    assert [(each.endpoint, each.model) for each in panel.members] == [("lab", "org/judge-1")]
    assert (panel.rubric, panel.asks) == ("agent-conduct", 4)
    with pytest.raises(PanelNotReadable, match="must be endpoint/model"):
        panel_of_options(["judge-1"], rubric="", samples=1, reversed_too=False)


# What it costs.


def test_a_plan_counts_calls_and_says_what_it_does_not_know(tmp_path: Path) -> None:
    places = open_places(PipelinesSettings(runs_folder=tmp_path))
    graph = graph_of(experiment(members=[LAB, OTHER], samples=2))
    judges = replace(JUDGES, questions=4000)
    before = panel_costs(graph, frozenset(), judges, places)

    assert [(each.episodes, each.calls) for each in before] == [(120, 480), (10, 40), (10, 40)]
    assert {each.is_least for each in before} == {True}
    assert before[1].input_tokens == 40 * 1000

    output = places.output(graph.evaluations[0])
    played = encode_episodes([episode(said="x" * 8000), episode(said="y" * 4000)])
    output.store.put(output.key("episodes-00000.parquet"), played)
    after = panel_costs(graph, frozenset(), judges, places)
    assert [each.is_least for each in after] == [True, False, True]
    assert 40 * (1000 + 1500) <= after[1].input_tokens <= 40 * (1000 + 1700)


def test_what_is_judged_already_costs_nothing(tmp_path: Path) -> None:
    graph = graph_of(experiment(samples=1))
    complete = frozenset(step.digest for step in graph.steps)
    assert (
        panel_costs(graph, complete, JUDGES, open_places(PipelinesSettings(runs_folder=tmp_path)))
        == []
    )


def test_a_plan_shows_the_panel_and_a_question_mark_for_what_is_unknown(tmp_path: Path) -> None:
    graph = graph_of(experiment(samples=1), replace(JUDGES, gold_episodes=0))
    planned = Planned(graph=graph, datasets=cast("Any", None), complete=frozenset(), judges=JUDGES)
    stream = io.StringIO()
    print_plan(
        planned,
        "Hosted",
        Console(file=stream, width=120),
        places=open_places(PipelinesSettings(runs_folder=tmp_path)),
    )
    shown = stream.getvalue()
    assert "calibration \u2502 agent-conduct by lab/judge-1" in shown
    assert "? episodes" in shown
    assert "what the panel would be asked" in shown
