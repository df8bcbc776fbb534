"""A schedule is put into a cluster, changed and taken away, and nothing else is touched."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from pipelines.__main__ import app
from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.faults import NotOurs
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from pipelines.cluster.schedule import ScheduleNotUsable, check_recurring
from pipelines.cluster.scheduling import put_schedule, remove_schedule
from pipelines.experiment.spec_file import load_experiment
from tests.cluster.fake_kubernetes.api_objects import CONFIG_MAPS, Resource
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster, fake_cluster
from tests.cluster.object_checks import faults_of
from tests.cluster.test_schedule import EXAMPLES, PROFILE, nightly

CRON_JOBS = Resource("batch", "v1", "cronjobs")
NAME = "teachwhy-hosted-models"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path) as started:
        yield started


@pytest.fixture
def profile() -> ClusterProfile:
    return read_profile(PROFILE)


@pytest.fixture
async def api(cluster: FakeCluster, profile: ClusterProfile) -> AsyncIterator[KubernetesApi]:
    async with KubernetesApi(profile, kubeconfig=cluster.kubeconfig) as opened:
        yield opened


def cron_job(cluster: FakeCluster) -> Any:
    return copy.deepcopy(cluster.registry.find(CRON_JOBS, NAMESPACE, NAME))


def config_map(cluster: FakeCluster) -> Any:
    return copy.deepcopy(cluster.registry.find(CONFIG_MAPS, NAMESPACE, NAME))


async def test_a_schedule_is_there_once_and_is_left_alone_when_it_is_the_same(
    cluster: FakeCluster, api: KubernetesApi, profile: ClusterProfile
) -> None:
    name = await put_schedule(api, nightly(), profile)
    first = cron_job(cluster), config_map(cluster)
    await put_schedule(api, nightly(), profile)

    assert name == f"CronJob {NAMESPACE}/{NAME}"
    assert first[0]["spec"]["schedule"] == "0 2 * * *"
    assert (cron_job(cluster), config_map(cluster)) == first


async def test_another_time_or_file_takes_the_place_of_the_old_one(
    cluster: FakeCluster, api: KubernetesApi, profile: ClusterProfile
) -> None:
    await put_schedule(api, nightly(), profile)
    later = nightly(at="30 4 * * *")
    text = later.bundle.experiment.replace("seeds: [0]", "seeds: [1]")
    bundle = later.bundle.model_copy(update={"experiment": text})
    await put_schedule(api, replace(later, bundle=bundle), profile)

    assert cron_job(cluster)["spec"]["schedule"] == "30 4 * * *"
    assert config_map(cluster)["data"]["experiment.yaml"] == text


async def test_removing_takes_both_away_and_says_when_there_is_nothing(
    cluster: FakeCluster, api: KubernetesApi, profile: ClusterProfile
) -> None:
    await put_schedule(api, nightly(), profile)
    gone = await remove_schedule(api, "hosted-models")
    again = await remove_schedule(api, "hosted-models")

    assert gone == [f"CronJob {NAMESPACE}/{NAME}", f"ConfigMap {NAMESPACE}/{NAME}"]
    assert again == []
    assert (cron_job(cluster), config_map(cluster)) == (None, None)


async def test_what_somebody_else_made_under_the_name_is_not_touched(
    cluster: FakeCluster, api: KubernetesApi, profile: ClusterProfile
) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME},
        "data": {"theirs": "yes"},
    }
    cluster.registry.create(CONFIG_MAPS, NAMESPACE, theirs)
    with pytest.raises(NotOurs, match=NAME):
        await put_schedule(api, nightly(), profile)
    with pytest.raises(NotOurs, match=NAME):
        await remove_schedule(api, "hosted-models")

    assert cron_job(cluster) is None
    assert config_map(cluster)["data"] == {"theirs": "yes"}


def test_a_file_without_hosted_models_has_nothing_to_measure_anew(
    profile: ClusterProfile,
) -> None:
    with pytest.raises(ScheduleNotUsable, match="nothing to measure anew"):
        check_recurring(load_experiment(EXAMPLES / "microworld.yaml"), profile)


def test_rooms_beside_the_job_must_know_the_endpoint() -> None:
    hosted = load_experiment(EXAMPLES / "hosted-models.yaml")
    content = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    content.pop("rooms", None)
    with pytest.raises(ScheduleNotUsable, match=r"ROLLOUT_ENDPOINTS is missing .* 'lab'"):
        check_recurring(hosted, ClusterProfile.model_validate(content))
    rooms = dict.fromkeys(("dataset", "rollout", "judge", "scoreboard"), "room:50051")
    check_recurring(hosted, ClusterProfile.model_validate({**content, "rooms": rooms}))
    content["runner"]["environment"]["ROLLOUT_ENDPOINTS"] = "{}"
    check_recurring(hosted, ClusterProfile.model_validate(content))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A profile that says where the hosted models are, written for somebody's own machine."""
    content = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    content["runner"]["environment"]["ROLLOUT_ENDPOINTS"] = "{}"
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump({**content, "context": "laptop"}), encoding="utf-8")
    return path


def invoke(profile: Path, example: str, *options: str) -> Result:
    file = str(EXAMPLES / example)
    return CliRunner().invoke(app, ["schedule", file, "--cluster", str(profile), *options])


def test_the_command_prints_what_it_would_apply_without_a_cluster(mine: Path) -> None:
    printed = invoke(
        *(mine, "hosted-models.yaml"),
        *("--at", "0 2 * * *", "--time-zone", "Europe/Berlin", "--print"),
    )
    bodies = list(yaml.safe_load_all(printed.stdout))

    assert printed.exit_code == 0
    assert [body["kind"] for body in bodies] == ["ConfigMap", "CronJob"]
    assert bodies[1]["spec"]["timeZone"] == "Europe/Berlin"
    assert [fault for body in bodies for fault in faults_of(body)] == []


def test_the_pods_profile_has_no_context_of_somebodys_kubeconfig(
    tmp_path: Path, mine: Path
) -> None:
    printed = invoke(mine, "hosted-models.yaml", "--at", "@daily", "--print")
    config = next(yaml.safe_load_all(printed.stdout))
    carried = tmp_path / "carried.yaml"
    carried.write_text(config["data"]["cluster.yaml"], encoding="utf-8")

    assert read_profile(carried) == read_profile(mine).model_copy(update={"context": ""})


@pytest.mark.parametrize(
    ("example", "options", "said"),
    [
        ("hosted-models.yaml", [], "say when with --at"),
        ("hosted-models.yaml", ["--at", "@daily", "--remove"], "say when with --at"),
        ("hosted-models.yaml", ["--at", "nightly"], "--at: 'nightly' is no time"),
        ("microworld.yaml", ["--at", "@daily"], "neither models that somebody hosts nor a promo"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_before_the_cluster_is_asked(
    mine: Path, example: str, options: list[str], said: str
) -> None:
    refused = invoke(mine, example, *options, "--print")

    assert refused.exit_code == 1
    assert said in refused.stderr
