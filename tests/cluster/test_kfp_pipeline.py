"""An experiment as a Kubeflow pipeline: what is compiled, and that its components do a whole run.

The library has an environment of its own. `make` makes it when it is missing, so that these tests
are part of every `make test`.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from tests.experiment.hosted_run import agent, set_up
from tests.experiment.tiny_run import (
    ROOT,
    contents,
    manifest_digests,
    running,
    write_experiment,
)
from tests.model_server.server import ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENVIRONMENT = ".venv-pipeline/.installed"
PYTHON = ROOT / ".venv-pipeline" / "bin" / "python"
PROFILE = ROOT / "pipelines" / "examples" / "cluster.yaml"


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter that has Kubeflow's library."""
    command = ["make", "--no-print-directory", ENVIRONMENT]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode == 0:
        return PYTHON
    said = f"{ENVIRONMENT} could not be made: {(made.stdout + made.stderr)[-2000:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    warnings.warn(f"the pipeline was NOT tested: {said}", pytest.PytestWarning, stacklevel=1)
    pytest.skip(said)


@pytest.fixture(scope="module")
def compiled(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the command writes for the micro-world, as the documents of a YAML file."""
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    example = ROOT / "pipelines" / "examples" / "microworld.yaml"
    command = [str(python), "-m", "pipelines", "pipeline", str(example), "--cluster", str(PROFILE)]
    subprocess.run([*command, "--output", str(output)], cwd=ROOT, check=True, capture_output=True)
    return list(yaml.safe_load_all(output.read_text(encoding="utf-8")))


def dags(compiled: Any) -> Iterator[tuple[str, Any]]:
    """Tasks of the pipeline and of every pipeline within it."""
    pipeline = compiled[0]
    for component in (pipeline["root"], *pipeline["components"].values()):
        yield from component.get("dag", {}).get("tasks", {}).items()


def loops(compiled: Any) -> dict[str, int]:
    """How many loops there are over each list, by its name."""
    found: dict[str, int] = {}
    for _, task in dags(compiled):
        if iterator := task.get("parameterIterator"):
            name = iterator["items"]["inputParameter"].removeprefix("pipelinechannel--")
            found[name] = found.get(name, 0) + 1
    return found


def test_containers_are_of_the_profiles_image_and_bring_nothing_else(compiled: Any) -> None:
    executors = compiled[0]["deploymentSpec"]["executors"].values()
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))

    assert {each["container"]["image"] for each in executors} == {profile["runner"]["image"]}
    assert not any("pip install" in str(each["container"]["command"]) for each in executors)


def test_every_component_is_a_call_of_the_installed_package(compiled: Any) -> None:
    calls = {
        name: " ".join(executor["container"]["command"])
        for name, executor in compiled[0]["deploymentSpec"]["executors"].items()
    }
    names = {name.removeprefix("exec-").rstrip("0123456789-"): name for name in calls}

    assert set(names) == {"plan", "step", "finish"}
    assert "import plan_run" in calls[names["plan"]]
    assert "import carry_out_step" in calls[names["step"]]
    assert "import finish_run" in calls[names["finish"]]


def test_data_trainings_evaluations_and_shards_are_loops(compiled: Any) -> None:
    found = loops(compiled)

    assert set(found) == {"digests", "items", "shards"}
    # One wave each: contrasts, datasets, bases, calibrations and judgings; arms and others.
    assert found["digests"] == 5
    assert found["items"] == 2


def test_every_container_is_started_again_when_it_fails(compiled: Any) -> None:
    containers = [
        task for _, task in dags(compiled) if "retryPolicy" in task or _is_container(compiled, task)
    ]

    assert containers
    for task in containers:
        assert task["retryPolicy"]["maxRetryCount"] == 5
        assert task["retryPolicy"]["backoffDuration"] == "30s"


def test_the_store_is_the_only_cache(compiled: Any) -> None:
    assert [name for name, task in dags(compiled) if task.get("cachingOptions")] == []


def test_every_container_gets_store_keys_and_settings(compiled: Any) -> None:
    executors = compiled[0]["deploymentSpec"]["executors"]
    platform = compiled[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    assert platform.keys() == executors.keys()
    for executor in executors.values():
        environment = {each["name"]: each["value"] for each in executor["container"]["env"]}
        assert environment["PIPELINES_STORE__KIND"] == "s3"
        assert executor["container"]["resources"]["resourceMemoryLimit"] == "4Gi"
    for executor in platform.values():
        mounted = {each["mountPath"]: each["secretName"] for each in executor["secretAsVolume"]}
        assert mounted["/run/secrets/teachwhy/store"] == "teachwhy-store"
        assert executor["securityContext"] == {"runAsNonRoot": True}


def test_the_pipeline_carries_the_experiment_and_its_files(compiled: Any) -> None:
    parameters = compiled[0]["root"]["inputDefinitions"]["parameters"]
    bundle = parameters["bundle"]["defaultValue"]

    assert "name: microworld" in bundle["experiment"]
    assert list(bundle["files"]) == ["microworld.chat_template.jinja"]
    carried = ClusterProfile.model_validate(parameters["cluster"]["defaultValue"])
    assert carried == read_profile(PROFILE).model_copy(update={"context": ""})


def test_a_run_of_the_pipeline_leaves_what_a_run_of_the_file_leaves(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = _one_arm(tmp_path)
    pipeline_runs, plain_runs = tmp_path / "pipeline", tmp_path / "plain"
    hosted_folder = tmp_path / "hosted"
    hosted_folder.mkdir()
    with ModelServer(agent) as server:
        # More than a shard of episodes, so that two containers share them.
        hosted = set_up(hosted_folder, server, monkeypatch, draws_per_scenario=100)
        said = _run_pipelines(python, pipeline_runs, tmp_path, trained, hosted)
        with running(hosted, plain_runs) as run:
            run.finish()
    with running(trained, plain_runs) as run:
        run.finish()

    assert sorted(said) == ["agent s0: shards 0:1 are played", "agent s0: shards 1:2 are played"]
    assert manifest_digests(pipeline_runs) == manifest_digests(plain_runs)
    assert contents(pipeline_runs) == contents(plain_runs)


def _one_arm(folder: Path) -> Path:
    path = write_experiment(folder)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["arms"] = [each for each in content["arms"] if each.get("role") == "control"]
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _run_pipelines(python: Path, runs: Path, folder: Path, *experiments: Path) -> list[str]:
    """Run the pipelines and return what their containers printed of shards."""
    behind = folder / "behind"
    behind.mkdir()
    # What trains and what hosts models needs is in no container of the pipeline, which has a
    # cluster for it. Here it is found behind whatever the pipeline's own environment has.
    site = f"import site\nsite.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (behind / "sitecustomize.py").write_text(site, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(behind),
        "OMP_NUM_THREADS": "1",
        "PIPELINES_STORE__KIND": "directory",
        "PIPELINES_STORE__ROOT": str(runs / "store"),
    }
    command = [str(python), "-m", "tests.cluster.pipeline_run", str(folder), *map(str, experiments)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    said = map(str.strip, done.stdout.splitlines())
    return [line for line in said if line.endswith("are played")]


def _is_container(compiled: Any, task: Any) -> bool:
    component = compiled[0]["components"][task["componentRef"]["name"]]
    return "executorLabel" in component
