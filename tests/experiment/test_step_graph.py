"""The step graph: what every digest is a function of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.experiment.layout import build_graph
from pipelines.experiment.places import open_places
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment, Loop
from pipelines.experiment.spec_data import MixPart, RecipeOptions
from pipelines.experiment.spec_file import load_experiment
from pipelines.experiment.steps import (
    EvaluationStep,
    GivenModel,
    JudgeRevisions,
    Revisions,
    Step,
    StepGraph,
    TrainingStep,
    inputs_of,
    mixture_budgets,
    short_tokens,
)
from pipelines.experiment.train import training_order
from services.servicekit.digest import digest_of

EXAMPLE = Path(__file__).parents[2] / "pipelines" / "examples" / "microworld.yaml"


class FakeDatasets:
    """Digests made from a recipe revision and the request."""

    def __init__(self, **revisions: str) -> None:
        self._revisions = revisions

    def digest(self, part: RecipeOptions, seed: int, tokens: int) -> str:
        revision = self._revisions.get(part.recipe.replace("-", "_"), "1")
        return digest_of("dataset", revision, part.model_dump(mode="json"), seed, tokens)

    def gates(self, part: RecipeOptions, seed: int) -> str:
        return ""


def loop_of(experiment: Experiment) -> Loop:
    assert experiment.loop is not None
    return experiment.loop


def revisions_of(experiment: Experiment) -> Revisions:
    return Revisions(
        datasets=FakeDatasets(),
        suites=dict.fromkeys(loop_of(experiment).evaluation.suites, "suite-1"),
        episodes_by_suite=dict.fromkeys(loop_of(experiment).evaluation.suites, 10),
        judges=JudgeRevisions(rubric="rubric-1"),
        training_code="training-1",
        serving_code="serving-1",
        chat_template="template-1",
    )


@pytest.fixture
def experiment() -> Experiment:
    return load_experiment(EXAMPLE)


@pytest.fixture
def revisions(experiment: Experiment) -> Revisions:
    return revisions_of(experiment)


def changed(experiment: Experiment, **changes: object) -> Experiment:
    return Experiment.model_validate({**experiment.model_dump(mode="json"), **changes})


def digests(graph: StepGraph) -> dict[str, list[str]]:
    """Digests by group of steps; the base's own steps apart from the arms'."""
    return {
        "datasets": [step.digest for step in graph.datasets],
        "bases": [step.digest for step in graph.trainings if step.start is None],
        "arms": [step.digest for step in graph.trainings if step.start is not None],
        "evaluations": [step.digest for step in graph.evaluations],
    }


def groups_that_differ(before: StepGraph, after: StepGraph) -> set[str]:
    """Groups in which a digest changed; every digest of such a group must have changed."""
    old, new = digests(before), digests(after)
    different = {group for group in old if old[group] != new[group]}
    for group in different:
        assert not set(old[group]) & set(new[group])
    return different


def test_the_same_experiment_has_the_same_digests(
    experiment: Experiment, revisions: Revisions
) -> None:
    assert build_graph(experiment, revisions) == build_graph(experiment, revisions)


def test_every_step_stands_behind_its_inputs(experiment: Experiment, revisions: Revisions) -> None:
    seen: set[str] = set()
    for step in build_graph(experiment, revisions).steps:
        assert {source.digest for source in inputs_of(step)} <= seen
        seen.add(step.digest)


def test_no_two_steps_share_a_digest(experiment: Experiment, revisions: Revisions) -> None:
    steps = build_graph(experiment, revisions).steps
    assert len({step.digest for step in steps}) == len(steps)


def test_every_arm_and_budget_is_evaluated_and_so_is_the_base(
    experiment: Experiment, revisions: Revisions
) -> None:
    measured = [(step.arm, step.tokens) for step in build_graph(experiment, revisions).evaluations]
    expected = [(arm.name, tokens) for arm in experiment.arms for tokens in arm.tokens]
    assert measured == [("base", 0), *expected]


def test_a_new_training_program_changes_checkpoints_and_evaluations_but_no_dataset(
    experiment: Experiment, revisions: Revisions
) -> None:
    after = build_graph(experiment, replace(revisions, training_code="training-2"))
    before = build_graph(experiment, revisions)
    assert groups_that_differ(before, after) == {"bases", "arms", "evaluations"}


@pytest.mark.parametrize(
    "news",
    [{"serving_code": "serving-2"}, {"judges": JudgeRevisions(rubric="rubric-2")}],
    ids=lambda news: next(iter(news)),
)
def test_a_new_model_server_or_rubric_changes_evaluations_only(
    experiment: Experiment, revisions: Revisions, news: dict[str, object]
) -> None:
    after = build_graph(experiment, replace(revisions, **news))  # type: ignore[arg-type]
    assert groups_that_differ(build_graph(experiment, revisions), after) == {"evaluations"}


def test_a_new_suite_revision_changes_evaluations_only(
    experiment: Experiment, revisions: Revisions
) -> None:
    suites = {**revisions.suites, loop_of(experiment).evaluation.suites[0]: "suite-2"}
    after = build_graph(experiment, replace(revisions, suites=suites))
    assert groups_that_differ(build_graph(experiment, revisions), after) == {"evaluations"}


def test_a_new_chat_template_changes_every_checkpoint(
    experiment: Experiment, revisions: Revisions
) -> None:
    after = build_graph(experiment, replace(revisions, chat_template="template-2"))
    before = build_graph(experiment, revisions)
    assert groups_that_differ(before, after) == {"bases", "arms", "evaluations"}


def test_another_seed_changes_everything(experiment: Experiment, revisions: Revisions) -> None:
    after = build_graph(changed(experiment, seeds=[102]), revisions)
    before = build_graph(experiment, revisions)
    assert groups_that_differ(before, after) == {"datasets", "bases", "arms", "evaluations"}


def test_a_second_seed_leaves_the_steps_of_the_first_as_they_were(
    experiment: Experiment, revisions: Revisions
) -> None:
    one = {step.digest for step in build_graph(experiment, revisions).steps}
    two = {
        step.digest for step in build_graph(changed(experiment, seeds=[102, 101]), revisions).steps
    }
    assert one < two
    assert len(two) == 2 * len(one)


def test_hyperparameters_of_fine_tuning_leave_base_and_data_alone(
    experiment: Experiment, revisions: Revisions
) -> None:
    before = build_graph(experiment, revisions)
    tuning = {**loop_of(experiment).fine_tuning.model_dump(mode="json"), "batch_tokens": 1024}
    after = build_graph(changed(experiment, fine_tuning=tuning), revisions)
    old, new = digests(before), digests(after)
    assert old["datasets"] == new["datasets"]
    assert old["bases"] == new["bases"]
    assert not set(old["arms"]) & set(new["arms"])
    assert old["evaluations"][0] == new["evaluations"][0], "the base is measured as before"
    assert not set(old["evaluations"][1:]) & set(new["evaluations"][1:])


def test_hyperparameters_of_the_base_change_every_checkpoint(
    experiment: Experiment, revisions: Revisions
) -> None:
    base = loop_of(experiment).base.model_dump(mode="json")
    base["training"]["batch_tokens"] = 2048
    after = build_graph(changed(experiment, base=base), revisions)
    before = build_graph(experiment, revisions)
    assert groups_that_differ(before, after) == {"bases", "arms", "evaluations"}


def test_a_new_recipe_revision_changes_only_the_arms_that_use_it(
    experiment: Experiment, revisions: Revisions
) -> None:
    before = build_graph(experiment, revisions)
    after = build_graph(experiment, replace(revisions, datasets=FakeDatasets(advice_reasons="2")))
    assert changed_evaluations(before, after) == {"advice-reasons", "full-mixture"}


def changed_evaluations(before: StepGraph, after: StepGraph) -> set[str]:
    pairs = zip(before.evaluations, after.evaluations, strict=True)
    return {old.arm for old, new in pairs if old.digest != new.digest}


def test_titles_roles_and_the_experiment_name_change_nothing(
    experiment: Experiment, revisions: Revisions
) -> None:
    arms = [
        {**arm.model_dump(mode="json"), "title": "other", "role": "control"}
        for arm in experiment.arms
    ]
    renamed = changed(experiment, name="other", title="Other", arms=arms)
    assert build_graph(renamed, revisions) == build_graph(experiment, revisions)


def test_experiments_with_a_common_base_share_its_steps(
    experiment: Experiment, revisions: Revisions
) -> None:
    only_control = [experiment.arms[0].model_dump(mode="json")]
    smaller = build_graph(changed(experiment, name="smaller", arms=only_control), revisions)
    whole = build_graph(experiment, revisions)
    assert smaller.trainings[0] == whole.trainings[0]
    assert {step.digest for step in smaller.steps} < {step.digest for step in whole.steps}


def test_an_evaluation_counts_scenarios_times_draws(
    experiment: Experiment, revisions: Revisions
) -> None:
    step: Step = build_graph(experiment, revisions).evaluations[0]
    assert isinstance(step, EvaluationStep)
    assert step.episodes == 10 * len(loop_of(experiment).evaluation.suites) * 2


@given(
    shares=st.lists(st.floats(min_value=0.1, max_value=10.0), min_size=1, max_size=8),
    tokens=st.integers(min_value=1_000, max_value=10**9),
)
def test_budgets_of_a_mixture_sum_to_the_tokens_and_follow_the_shares(
    shares: list[float], tokens: int
) -> None:
    budgets = mixture_budgets([MixPart(recipe="r", share=share) for share in shares], tokens)
    assert sum(budgets) == tokens
    for budget, share in zip(budgets, shares, strict=True):
        assert budget >= 1
        assert abs(budget - tokens * share / sum(shares)) <= 1.001


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (1, "1"),
        (999, "999"),
        (1_000, "1k"),
        (1_500, "1p5k"),
        (1_050, "1050"),
        (80_000, "80k"),
        (240_000, "240k"),
        (1_100_000, "1p1m"),
        (1_150_000, "1150k"),
        (2_000_000, "2m"),
    ],
)
def test_token_counts_are_short_and_exact(tokens: int, text: str) -> None:
    assert short_tokens(tokens) == text


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_different_counts_never_have_the_same_short_form(one: int, other: int) -> None:
    assert (short_tokens(one) == short_tokens(other)) == (one == other)


GIVEN = GivenModel(checkpoint="open-8b", digest="weights-1")


@pytest.fixture
def from_given(experiment: Experiment) -> Experiment:
    """The example, but its arms start from a model that exists."""
    return changed(experiment, base={"checkpoint": GIVEN.checkpoint})


def test_a_given_base_is_measured_and_started_from_but_not_trained(
    from_given: Experiment, revisions: Revisions
) -> None:
    graph = build_graph(from_given, replace(revisions, given=GIVEN, chat_template=""))
    base, *arms = graph.evaluations
    assert base.subject == GIVEN
    assert base.model == "open-8b"
    assert all(isinstance(each.subject, TrainingStep) for each in arms)
    assert {step.start for step in graph.trainings} == {GIVEN}
    assert all(step.vocabulary is None for step in graph.trainings)
    assert not [step for step in graph.datasets if step.part.recipe == "pretraining-corpus"]


@pytest.mark.parametrize(
    "news",
    [{"given": GivenModel(checkpoint="open-8b", digest="weights-2")}, {"chat_template": "other"}],
    ids=["weights", "template"],
)
def test_other_weights_or_another_template_of_a_given_base_change_every_arm(
    from_given: Experiment, revisions: Revisions, news: dict[str, Any]
) -> None:
    own = replace(revisions, given=GIVEN, chat_template="")
    before = digests(build_graph(from_given, own))
    after = digests(build_graph(from_given, replace(own, **news)))
    assert not set(before["arms"]) & set(after["arms"])
    assert before["datasets"] == after["datasets"]


def test_a_training_from_a_given_base_is_ordered_by_its_name_in_the_store(
    from_given: Experiment, revisions: Revisions, tmp_path: Path
) -> None:
    places = open_places(PipelinesSettings(runs_folder=tmp_path))
    step = build_graph(from_given, replace(revisions, given=GIVEN)).trainings[0]
    order = training_order(step, loop=loop_of(from_given), chat_template="T", place=places.place)
    assert order.folders["start"] == "checkpoints/open-8b"
    assert order.inputs["start"] == "weights-1"
    assert order.spec["start"] == {
        "kind": "checkpoint",
        "path": "start",
        "name": "open-8b",
        "revision": "weights-1",
        "chat_template": "T",
    }
