"""A file may measure models that somebody hosts, with or without training anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.experiment.layout import build_graph
from pipelines.experiment.local_services import GRPC_ROOMS, service_environment, service_specs
from pipelines.experiment.places import open_places
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.rollout_endpoints import operator_hosts, rollout_hosts
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment
from pipelines.experiment.steps import JudgeRevisions, Revisions, StepGraph, inputs_of
from tests.experiment.test_step_graph import FakeDatasets

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
LAB = '{"lab": {"base_url": "http://127.0.0.1:9/v1", "extra_body": {"provider": {"order": ["x"]}}}}'
PORTS = {name: 40_000 + i for i, name in enumerate((*GRPC_ROOMS, "serving"))}


@pytest.fixture
def hosted() -> Experiment:
    return load_experiment(EXAMPLES / "hosted-models.yaml")


@pytest.fixture
def trained() -> Experiment:
    return load_experiment(EXAMPLES / "microworld.yaml")


def changed(experiment: Experiment, **changes: object) -> Experiment:
    return Experiment.model_validate({**experiment.model_dump(mode="json"), **changes})


def both(trained: Experiment, hosted: Experiment) -> Experiment:
    return changed(trained, models=[each.model_dump(mode="json") for each in hosted.models])


def graph_of(experiment: Experiment, **changes: object) -> StepGraph:
    assert experiment.evaluation is not None
    suites = experiment.evaluation.suites
    facts: dict[str, object] = {
        "datasets": FakeDatasets(),
        "suites": dict.fromkeys(suites, "suite-1"),
        "episodes_by_suite": dict.fromkeys(suites, 10),
        "judges": JudgeRevisions(rubric="rubric-1"),
        "training_code": "training-1",
        "serving_code": "serving-1",
        "chat_template": "",
    }
    return build_graph(experiment, Revisions(**{**facts, **changes}))  # type: ignore[arg-type]


# The file.


def test_a_file_of_models_needs_no_control_arm_and_trains_nothing(hosted: Experiment) -> None:
    graph = graph_of(hosted)

    assert hosted.loop is None
    assert [step.label for step in graph.steps] == ["agent s0"]
    assert graph.evaluations[0].episodes == 7 * 10 * 4
    assert inputs_of(graph.evaluations[0]) == ()


def test_arms_and_models_stand_in_one_file(trained: Experiment, hosted: Experiment) -> None:
    alone, together = graph_of(trained), graph_of(both(trained, hosted))

    assert together.trainings == alone.trainings
    assert together.evaluations[:-1] == alone.evaluations
    assert together.evaluations[-1].arm == "agent"


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (["models"], "base, fine_tuning, arms, models missing"),
        (["evaluation"], "base, fine_tuning, arms, evaluation missing"),
        (["models", "evaluation"], "base, fine_tuning, arms, models, evaluation missing"),
    ],
)
def test_a_file_that_is_neither_says_what_is_missing(
    tmp_path: Path, left_out: list[str], said: str
) -> None:
    content = yaml.safe_load((EXAMPLES / "hosted-models.yaml").read_text(encoding="utf-8"))
    for key in left_out:
        del content[key]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ExperimentFileError, match=said):
        load_experiment(path)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"stop_at_interval_width": 1.5}, "evaluation.stop_at_interval_width: "),
        ({"tool_protocol": "xml"}, "evaluation.tool_protocol: "),
        ({"max_episode_tokens": 10}, "evaluation.max_episode_tokens: "),
        ({"axes": {"persona": ["alex", "alex"]}}, "axes.persona lists 'alex' twice"),
        ({"axes": {"persona": []}}, "evaluation.axes.persona: "),
    ],
)
def test_a_wrong_measurement_is_placed(
    tmp_path: Path, section: dict[str, object], said: str
) -> None:
    content = yaml.safe_load((EXAMPLES / "hosted-models.yaml").read_text(encoding="utf-8"))
    content["evaluation"] |= section
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ExperimentFileError) as refused:
        load_experiment(path)
    assert said in str(refused.value)


def test_an_unknown_key_of_a_model_is_placed(tmp_path: Path) -> None:
    text = (EXAMPLES / "hosted-models.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("    endpoint: lab", "    endpont: lab"), encoding="utf-8")
    with pytest.raises(ExperimentFileError, match=r"models\[0\].endpont.*mean 'endpoint'"):
        load_experiment(path)


@pytest.mark.parametrize("name", ["base", "advice-reasons"])
def test_a_model_with_the_name_of_an_arm_is_refused(
    trained: Experiment, hosted: Experiment, name: str
) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is the name of another model or arm"):
        changed(trained, models=[{**hosted.models[0].model_dump(), "name": name}])


# What its number is a function of.


def test_titles_and_names_change_no_digest_and_everything_else_does(hosted: Experiment) -> None:
    model, evaluation = hosted.models[0].model_dump(), hosted.model_dump(mode="json")["evaluation"]
    before = graph_of(hosted).evaluations[0].digest
    same = changed(hosted, title="Other", models=[{**model, "title": "Other", "name": "other"}])
    assert graph_of(same).evaluations[0].digest == before

    assert isinstance(evaluation, dict)
    others = [
        graph_of(changed(hosted, models=[{**model, "endpoint": "other"}])),
        graph_of(changed(hosted, models=[{**model, "model": "other"}])),
        graph_of(changed(hosted, seeds=[1])),
        graph_of(changed(hosted, evaluation={**evaluation, "repetitions": 2})),
        graph_of(changed(hosted, evaluation={**evaluation, "axes": {"persona": ["alex"]}})),
        graph_of(changed(hosted, evaluation={**evaluation, "stop_at_interval_width": 0.1})),
        graph_of(hosted, judges=JudgeRevisions(rubric="rubric-2")),
    ]
    digests = {graph.evaluations[0].digest for graph in others}
    assert len(digests | {before}) == len(others) + 1


def test_our_own_model_server_is_no_part_of_it(hosted: Experiment) -> None:
    before = graph_of(hosted).evaluations[0]
    after = graph_of(hosted, serving_code="serving-2", training_code="training-2").evaluations[0]
    assert after.digest == before.digest


# Its endpoint.


def test_an_endpoint_that_is_not_set_is_named_with_an_example(
    hosted: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUT_ENDPOINTS", raising=False)
    with pytest.raises(ExperimentImpossible) as refused:
        rollout_hosts(hosted)
    assert str(refused.value) == (
        "models[0].endpoint: the setting ROLLOUT_ENDPOINTS has no endpoint 'lab'; it is empty or "
        'not set. Example: ROLLOUT_ENDPOINTS=\'{"lab": {"base_url": "https://host/v1", '
        '"api_key_file": "/run/key"}}\''
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "ROLLOUT_ENDPOINTS"),
        ('{"lab": {"base_url": "host"}}', "ROLLOUT_ENDPOINTS__LAB__BASE_URL"),
    ],
)
def test_a_wrong_setting_is_named(
    hosted: Experiment, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("ROLLOUT_ENDPOINTS", value)
    with pytest.raises(ExperimentImpossible, match=said):
        rollout_hosts(hosted)


def test_an_own_default_is_refused_where_checkpoints_are_hosted_and_wins_elsewhere(
    hosted: Experiment, trained: Experiment, monkeypatch: pytest.MonkeyPatch, rollout: Environment
) -> None:
    monkeypatch.setenv("ROLLOUT_ENDPOINTS__DEFAULT__BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ExperimentImpossible, match="give yours another name"):
        rollout_hosts(trained)
    at_default = changed(hosted, models=[{**hosted.models[0].model_dump(), "endpoint": "default"}])
    told = rollout(at_default)
    assert json.loads(told["ROLLOUT_ENDPOINTS"]) == {
        "default": {"base_url": "http://127.0.0.1:9/v1"}
    }
    assert "ROLLOUT_ENDPOINTS__DEFAULT__BASE_URL" not in told, "it stands in the one value"


Environment = Callable[[Experiment], dict[str, str]]


@pytest.fixture
def rollout(tmp_path: Path) -> Environment:
    """Environment of the rollout room of a run."""

    def environment(experiment: Experiment) -> dict[str, str]:
        specs = service_specs(
            open_places(PipelinesSettings(runs_folder=tmp_path)),
            ports=PORTS,
            metrics_ports=dict.fromkeys(GRPC_ROOMS, 0),
            parent_pid=1,
            hosts=rollout_hosts(experiment),
        )
        return service_environment(specs["rollout"])

    return environment


def test_endpoints_of_the_operator_stand_beside_our_own_and_replies_are_kept(
    hosted: Experiment,
    trained: Experiment,
    monkeypatch: pytest.MonkeyPatch,
    rollout: Environment,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ROLLOUT_ENDPOINTS", LAB)
    told = rollout(both(trained, hosted))

    endpoints = json.loads(told["ROLLOUT_ENDPOINTS"])
    assert endpoints["lab"] == json.loads(LAB)["lab"]
    assert endpoints["default"]["base_url"].endswith(f":{PORTS['serving']}/openai/v1")
    assert told["ROLLOUT_CACHE_FOLDER"] == str(tmp_path / "rollout-cache")
    assert json.loads(told["ROLLOUT_STORE"])["root"] == str(tmp_path / "store")


def test_replies_of_our_own_checkpoints_are_not_kept(
    trained: Experiment, monkeypatch: pytest.MonkeyPatch, rollout: Environment
) -> None:
    monkeypatch.setenv("ROLLOUT_ENDPOINTS", LAB)
    told = rollout(trained)
    assert "ROLLOUT_CACHE_FOLDER" not in told


def test_without_any_setting_only_our_own_model_server_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROLLOUT_ENDPOINTS", raising=False)
    assert operator_hosts().endpoints == {}
