"""What is still to be done, as lists that a pipeline of containers runs over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.experiment.bundle import Bundle, read_bundle
from pipelines.experiment.occasions import OccasionNotUsable, resolved
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment
from pipelines.experiment.steps import StepGraph, TrainingStep, inputs_of
from pipelines.experiment.waves import Waves, waves_of
from tests.experiment.test_hosted_models import both, changed, graph_of
from tests.experiment.tiny_run import EXAMPLES


@pytest.fixture
def experiment() -> Experiment:
    return load_experiment(EXAMPLES / "microworld.yaml")


@pytest.fixture
def graph(experiment: Experiment) -> StepGraph:
    return graph_of(experiment)


def waves(graph: StepGraph, experiment: Experiment, done: set[str], parts: int = 4) -> Waves:
    return waves_of(graph, done, settings=experiment.evaluation, parts=parts)


def flat(found: Waves) -> list[set[str]]:
    measured = [
        {each.training for each in found.arms},
        {each.evaluation for each in (*found.arms, *found.others)},
    ]
    return [set(found.contrasts), set(found.datasets), set(found.bases), *measured]


def test_a_wave_needs_only_what_is_in_the_waves_before_it(
    graph: StepGraph, experiment: Experiment
) -> None:
    done: set[str] = set()
    by_digest = {step.digest: step for step in graph.steps}
    for wave in flat(waves(graph, experiment, set())):
        for digest in wave:
            assert {source.digest for source in inputs_of(by_digest[digest])} <= done
        done |= wave
    assert done == set(by_digest)


def test_what_is_complete_is_left_out_and_an_arm_stays_until_it_is_measured(
    graph: StepGraph, experiment: Experiment
) -> None:
    arm = next(step for step in graph.trainings if step.start is not None)
    played = next(step for step in graph.evaluations if step.subject == arm)
    written = {step.digest for step in graph.datasets}
    trained = waves(graph, experiment, {*written, arm.digest})
    measured = waves(graph, experiment, {*written, arm.digest, played.digest})

    assert trained.datasets == ()
    assert arm.digest in {each.training for each in trained.arms}
    assert arm.digest not in {each.training for each in measured.arms}
    assert flat(waves(graph, experiment, {step.digest for step in graph.steps})) == [set()] * 5


@pytest.mark.parametrize(
    ("episodes", "parts", "ranges"),
    [
        (256, 4, ()),
        (257, 4, ("0:1", "1:2")),
        (2560, 4, ("0:2", "2:5", "5:7", "7:10")),
        (2560, 1, ()),
        (700, 64, ("0:1", "1:2", "2:3")),
    ],
)
def test_an_evaluation_is_shared_out_by_whole_shards(
    graph: StepGraph,
    experiment: Experiment,
    episodes: int,
    parts: int,
    ranges: tuple[str, ...],
) -> None:
    longer = tuple(replace(step, episodes=episodes) for step in graph.evaluations)
    found = waves(replace(graph, evaluations=longer), experiment, set(), parts)

    assert {each.shards for each in (*found.arms, *found.others)} == {ranges}


def test_what_a_stop_rule_ends_is_not_shared_out(experiment: Experiment) -> None:
    assert experiment.evaluation is not None
    evaluation = {**experiment.evaluation.model_dump(mode="json"), "stop_at_interval_width": 0.1}
    ruled = changed(experiment, evaluation=evaluation)
    found = waves(graph_of(ruled), ruled, set(), 8)

    assert {each.shards for each in (*found.arms, *found.others)} == {()}


def test_bases_and_hosted_models_wait_for_no_arm(experiment: Experiment) -> None:
    hosted = load_experiment(EXAMPLES / "hosted-models.yaml")
    together = both(experiment, hosted)
    found = waves(graph_of(together), together, set())
    graph = graph_of(together)
    arms = {
        step.digest
        for step in graph.evaluations
        if isinstance(step.subject, TrainingStep) and step.subject.start is not None
    }

    assert {each.evaluation for each in found.arms} == arms
    assert len(found.others) == len(graph.evaluations) - len(arms)
    assert {each.training for each in found.others} == {""}


def test_two_names_of_one_hosted_model_are_measured_once() -> None:
    hosted = load_experiment(EXAMPLES / "hosted-models.yaml")
    model = hosted.models[0].model_dump()
    twice = changed(hosted, models=[model, {**model, "name": "again"}])

    assert len(waves(graph_of(twice), twice, set()).others) == 1


# What is carried into a container.


def test_a_bundle_holds_the_experiment_and_the_files_it_names(tmp_path: Path) -> None:
    bundle = read_bundle(EXAMPLES / "microworld.yaml")
    path = Bundle.model_validate(bundle.model_dump(mode="json")).write(tmp_path)

    assert list(bundle.files) == ["microworld.chat_template.jinja"]
    assert load_experiment(path) == load_experiment(EXAMPLES / "microworld.yaml")
    assert read_bundle(path) == bundle


def test_a_file_elsewhere_is_not_carried(tmp_path: Path) -> None:
    text = (EXAMPLES / "microworld.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("microworld.chat", "../microworld.chat"), encoding="utf-8")
    with pytest.raises(ExperimentFileError, match=r"chat_template: '\.\./.*' must lie in the fold"):
        read_bundle(path)


def test_a_bundle_from_elsewhere_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ExperimentFileError, match="outside"):
        Bundle(experiment="", files={"../up": "x"}).write(tmp_path)


def test_what_is_too_much_to_carry_is_said(tmp_path: Path) -> None:
    text = (EXAMPLES / "microworld.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "microworld.chat_template.jinja").write_text("x" * 1_000_000, encoding="utf-8")
    with pytest.raises(ExperimentFileError, match=r"have 1,0\d\d,\d+ bytes; at most 900,000"):
        read_bundle(path)


# Occasions.


def test_today_is_a_date_and_nothing_is_no_occasion() -> None:
    assert resolved("") == ""
    assert resolved("2026-11-23") == "2026-11-23"
    assert len(resolved("today")) == len("2026-11-23")


@pytest.mark.parametrize("occasion", ["last night", "../x", "-a", "a" * 64])
def test_an_occasion_that_is_no_name_is_refused(occasion: str) -> None:
    with pytest.raises(OccasionNotUsable, match=r"--occasion: .* is no name"):
        resolved(occasion)
