"""A schedule is a CronJob that Kubernetes takes, with everything its pod needs, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.profile_file import read_profile
from pipelines.cluster.runner_pod import NoRunner
from pipelines.cluster.schedule import (
    Schedule,
    ScheduleNotUsable,
    schedule_name,
    schedule_objects,
)
from pipelines.experiment.bundle import Bundle, read_bundle
from tests.cluster.object_checks import faults_of

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
PROFILE = EXAMPLES / "cluster.yaml"


@pytest.fixture
def profile() -> ClusterProfile:
    return read_profile(PROFILE)


def nightly(bundle: Bundle | None = None, **changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "experiment": "hosted-models",
        "bundle": bundle or read_bundle(EXAMPLES / "hosted-models.yaml"),
        "cluster": PROFILE.read_text(encoding="utf-8"),
        "at": "0 2 * * *",
    }
    return Schedule(**{**values, **changes})


def pod_of(cron_job: Any) -> Any:
    return cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("example", ["cluster.yaml", "cluster-cpu.yaml"])
def test_kubernetes_takes_the_objects_of_every_example(example: str) -> None:
    profile = read_profile(EXAMPLES / example)
    for body in schedule_objects(nightly(read_bundle(EXAMPLES / "microworld.yaml")), profile):
        assert faults_of(body) == []


def test_a_run_that_takes_longer_than_a_day_is_not_started_twice(profile: ClusterProfile) -> None:
    spec = schedule_objects(nightly(), profile)[1]["spec"]
    assert isinstance(spec, dict)

    assert (spec["schedule"], spec["timeZone"]) == ("0 2 * * *", "Etc/UTC")
    assert spec["concurrencyPolicy"] == "Forbid"


def test_each_job_is_an_occasion_also_when_its_pod_is_started_again(
    profile: ClusterProfile,
) -> None:
    container = pod_of(schedule_objects(nightly(), profile)[1])["containers"][0]
    source = {each["name"]: each.get("valueFrom") for each in container["env"]}["JOB"]

    assert container["args"][-2:] == ["--occasion", "$(JOB)"]
    assert source["fieldRef"]["fieldPath"] == "metadata.labels['batch.kubernetes.io/job-name']"


def test_the_pod_finds_the_experiment_where_the_command_says(profile: ClusterProfile) -> None:
    bundle = Bundle(experiment="a", files={"below/it.jinja": "b"})
    config, cron_job = schedule_objects(nightly(bundle), profile)
    pod = pod_of(cron_job)
    volume = next(each for each in pod["volumes"] if each["name"] == "experiment")
    mount = next(
        each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "experiment"
    )
    data = config["data"]
    assert isinstance(data, dict)
    laid_out = {
        f"{mount['mountPath']}/{each['path']}": data[each["key"]]
        for each in volume["configMap"]["items"]
    }

    assert laid_out == {
        "/run/teachwhy/experiment.yaml": "a",
        "/run/teachwhy/cluster.yaml": PROFILE.read_text(encoding="utf-8"),
        "/run/teachwhy/below/it.jinja": "b",
    }
    command = [*pod["containers"][0]["command"], *pod["containers"][0]["args"]]
    assert {each for each in command if each.startswith("/run")} <= laid_out.keys()


def test_keys_are_files_from_secrets_and_never_in_the_objects(profile: ClusterProfile) -> None:
    config, cron_job = schedule_objects(nightly(), profile)
    container = pod_of(cron_job)["containers"][0]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    secrets = {
        each["name"]: each["secret"]["secretName"]
        for each in pod_of(cron_job)["volumes"]
        if "secret" in each
    }
    mounted = {each["mountPath"]: secrets.get(each["name"]) for each in container["volumeMounts"]}

    assert mounted["/run/secrets/teachwhy/store"] == profile.store.credentials_secret
    assert mounted["/run/secrets/authors"] == "teachwhy-authors"
    key_file = environment["PIPELINES_STORE__SECRET_KEY_FILE"]
    assert key_file == "/run/secrets/teachwhy/store/secret_key"
    assert environment["PIPELINES_STORE__BUCKET"] == profile.store.bucket
    assert "PIPELINES_STORE__SECRET_KEY" not in environment
    assert config["kind"] == "ConfigMap"


def test_the_objects_say_whose_they_are(profile: ClusterProfile) -> None:
    for body in schedule_objects(nightly(), profile):
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        assert (metadata["name"], metadata["namespace"]) == ("teachwhy-hosted-models", "teachwhy")
        labels = metadata["labels"]
        assert isinstance(labels, dict)
        assert labels["app.kubernetes.io/managed-by"] == "teachwhy"


def test_names_fit_a_cron_job_and_long_ones_stay_apart() -> None:
    long, other = "a" * 63, "a" * 62 + "b"

    assert len(schedule_name(long)) <= 52
    assert schedule_name(long) != schedule_name(other)
    assert schedule_name("short") == "teachwhy-short"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at": "every night"}, "--at: 'every night' is no time: five fields"),
        ({"at": "0 2 * *"}, "--at: "),
        ({"at": "0 2 * * *; ls"}, "--at: "),
        ({"time_zone": "Middle/Earth"}, "--time-zone: 'Middle/Earth' is no time zone"),
        ({"time_zone": "../../etc/passwd"}, "--time-zone: "),
    ],
)
def test_a_time_that_is_none_is_refused_before_anything_is_written(
    profile: ClusterProfile, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ScheduleNotUsable) as refused:
        schedule_objects(nightly(**changes), profile)
    assert said in str(refused.value)


def test_a_profile_without_a_runner_is_refused() -> None:
    content = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    del content["runner"]
    with pytest.raises(NoRunner, match="runner: is missing"):
        schedule_objects(nightly(), ClusterProfile.model_validate(content))
