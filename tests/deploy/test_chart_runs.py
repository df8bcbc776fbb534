"""What the chart installs for runs is what runs need: profile, accounts, role, schedule, hosts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cluster import training_job
from pipelines.cluster.predictor import Served, predictor
from pipelines.cluster.profile import ClusterProfile, Placement, Toleration
from pipelines.experiment.bundle import Bundle
from tests.cluster.training_orders import order
from tests.deploy.charts import (
    CI,
    Body,
    objects_of,
    of_kind,
    rendered,
    set_to,
    values_of,
    variables_of,
)
from tests.deploy.object_faults import faults
from tests.deploy.of_runs import profile_of, profile_text, scheduled

WITH_RUNNER = sorted(CI.keys() - {"no-monitoring"})
NOT_OF_THE_CHART = {
    "annotations": "objects of runs need none",
    "context": "the runner is in the cluster",
    "outage_seconds": "the default",
    "prices": "a plan is made where somebody reads it",
    "training.processes_per_node": "one for each GPU",
}
WHOLE = ClusterProfile.model_json_schema()


def paths_of(schema: Any, path: str = "") -> set[str]:
    """The fields of the profile and of its parts, placements as one."""
    found = set()
    for name, field in schema["properties"].items():
        where = f"{path}{name}"
        names = re.findall(r"#/\$defs/(\w+)", str(field))
        parts = [WHOLE["$defs"][each] for each in names if each not in {"Placement", "Toleration"}]
        found |= set().union(*(paths_of(each, f"{where}.") for each in parts)) or {where}
    return found


def keys_of(value: Any, path: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {path}
    return set().union(
        *(keys_of(below, f"{path}.{key}".lstrip(".")) for key, below in value.items())
    )


@pytest.mark.parametrize("name", WITH_RUNNER)
def test_a_run_reads_the_profile(name: str, tmp_path: Path) -> None:
    profile = profile_of(objects_of(name), tmp_path)
    services = of_kind(objects_of(name), "Service")

    assert profile.namespace == "lab"
    assert profile.rooms is not None
    for room, address in profile.rooms.model_dump().items():
        service = services[f"teachwhy-{room}"]
        port = service["spec"]["ports"][0]["port"]
        assert address == f"{service['metadata']['name']}.lab.svc:{port}"


@pytest.mark.parametrize("name", WITH_RUNNER)
def test_every_account_of_the_profile_is_there(name: str, tmp_path: Path) -> None:
    profile = profile_of(objects_of(name), tmp_path)
    accounts = of_kind(objects_of(name), "ServiceAccount")
    assert profile.runner is not None

    assert {profile.runner.service_account, profile.training.service_account} <= accounts.keys()
    is_given = values_of(CI[name]).get("serving", {}).get("existingServiceAccount")
    assert profile.serving.service_account == (is_given or "teachwhy-serving")
    assert (profile.serving.service_account in accounts) == (not is_given)


def test_everything_that_a_profile_can_say_is_a_value_of_the_chart() -> None:
    texts = [profile_text(objects_of(name)) for name in WITH_RUNNER]
    said = set().union(*(keys_of(yaml.safe_load(text)) for text in texts))
    silent = {
        path
        for path in paths_of(WHOLE)
        if not any(f"{each}.".startswith(f"{path}.") for each in said)
    }

    assert {path for path in silent if not path.startswith(tuple(NOT_OF_THE_CHART))} == set()


@pytest.mark.parametrize("part", ["training", "serving"])
def test_every_word_of_a_placement_is_a_value_of_the_chart(part: str, tmp_path: Path) -> None:
    profile = profile_of(
        set_to(
            f"{part}.placement.gpus=2",
            f"{part}.placement.gpuResource=amd.com/gpu",
            f"{part}.placement.sharedMemory=1Gi",
            f"{part}.placement.nodeSelector.pool=gpu",
            f"{part}.placement.tolerations[0].key=gpu",
            f"{part}.placement.tolerations[0].operator=Exists",
            f"{part}.placement.priorityClassName=batch",
        ),
        tmp_path,
    )

    assert getattr(profile, part).placement == Placement(
        gpus=2,
        gpu_resource="amd.com/gpu",
        cpu="2",
        memory="8Gi",
        shared_memory="1Gi",
        node_selector={"pool": "gpu"},
        tolerations=(Toleration(key="gpu"),),
        priority_class="batch",
    )


def test_the_profile_takes_values_that_differ_from_the_defaults(tmp_path: Path) -> None:
    profile = profile_of(objects_of("gpu"), tmp_path)
    training, serving = profile.training, profile.serving

    assert serving.runtime.model_dump() == {
        "kind": "huggingface",
        "runtime": "kserve-huggingfaceserver",
        "args": ("--max-model-len=16384", "--enable-auto-tool-choice"),
    }
    assert serving.placement.gpus == 1
    assert serving.placement.tolerations[0].key == "nvidia.com/gpu"
    assert serving.gateway == "istio-system/public"
    assert (training.nodes, training.placement.gpus) == (4, 8)
    assert training.volume is not None
    assert training.volume.claim == "teachwhy-checkpoints"
    assert training.labels == {"kueue.x-k8s.io/queue-name": "research"}
    assert not profile.store.secure


@pytest.mark.parametrize("name", ["nightly", "everything"])
def test_the_nightly_job_is_the_one_that_a_schedule_makes(name: str, tmp_path: Path) -> None:
    assert_scheduled(objects_of(name), values_of(CI[name])["nightly"], tmp_path)


def assert_scheduled(objects: list[Body], values: Any, tmp_path: Path) -> None:
    """Fail unless the nightly Job is the one that a schedule of these values makes."""
    own = of_kind(objects, "CronJob")["teachwhy-nightly"]
    config, other = scheduled(
        profile_of(objects, tmp_path),
        profile_text(objects),
        bundle=Bundle(experiment=values["experiment"], files=values.get("files", {})),
        at=values.get("schedule", "0 2 * * *"),
        time_zone=values.get("timeZone", "Etc/UTC"),
    )

    assert of_kind(objects, "ConfigMap")["teachwhy-nightly"]["data"] == config["data"]
    assert comparable(own) == comparable(other)


def comparable(cron_job: Body) -> Any:
    """A CronJob without whose it is, and with lists in which order says nothing as maps."""
    spec = json.loads(json.dumps(cron_job["spec"]))
    template = spec["jobTemplate"]["spec"]["template"]
    del spec["jobTemplate"]["metadata"], template["metadata"]
    pod = template["spec"]
    pod.pop("imagePullSecrets", None)
    (container,) = pod["containers"]
    container.pop("imagePullPolicy", None)
    container["env"] = {each["name"]: each for each in container["env"]}
    volumes = {
        each.pop("name"): {key: value for key, value in each.items() if value != {}}
        for each in pod.pop("volumes")
    }
    container["volumeMounts"] = {
        each["mountPath"]: (volumes[each["name"]], each.get("readOnly"))
        for each in container["volumeMounts"]
    }
    return spec


@pytest.mark.parametrize("name", ["gpu", "everything"])
def test_what_is_always_hosted_is_hosted_as_runs_host(name: str, tmp_path: Path) -> None:
    assert_hosted(objects_of(name), values_of(CI[name])["serving"]["services"], tmp_path)


def assert_hosted(objects: list[Body], hosted: Any, tmp_path: Path) -> None:
    """Fail unless each InferenceService is the one that a run makes of the same checkpoint."""
    profile = profile_of(objects, tmp_path)
    services = of_kind(objects, "InferenceService")
    assert services.keys() == hosted.keys()
    for service, body in services.items():
        checkpoint = hosted[service]["checkpoint"]
        own = predictor_without_labels(body["spec"]["predictor"])
        made = predictor(Served(checkpoint=checkpoint, model=service), profile, {})
        assert own == predictor_without_labels(made)
        mode = body["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        assert mode == profile.serving.mode


def predictor_without_labels(made: Any) -> Any:
    pod = json.loads(json.dumps(made))
    del pod["labels"]
    for container in (*pod.get("containers", []), *([pod["model"]] if "model" in pod else [])):
        container.pop("imagePullPolicy", None)
        container["env"] = {each["name"]: each["value"] for each in container["env"]}
        for name in ("SERVING_ALIASES", "SERVING_CHECKPOINTS"):
            if name in container["env"]:
                container["env"][name] = json.loads(container["env"][name])
        container["volumeMounts"] = sorted(container["volumeMounts"], key=str)
    for volume in pod["volumes"]:
        volume.get("secret", {}).pop("defaultMode", None)
    pod["volumes"] = sorted(pod["volumes"], key=str)
    return pod


def test_the_authority_of_the_store_reaches_whatever_runs_make(tmp_path: Path) -> None:
    hosted = {"agent": {"checkpoint": "constitution-s0"}}
    objects = rendered(
        CI["nightly"],
        CI["tls"],
        flags=(
            *("--set", "minio.enabled=false"),
            *("--set", "serving.services.agent.checkpoint=constitution-s0"),
        ),
    )
    file = "/run/secrets/teachwhy/store-ca/ca.crt"

    assert profile_of(objects, tmp_path).store.ca_secret == "teachwhy-store-ca"
    assert_scheduled(objects, values_of(CI["nightly"])["nightly"], tmp_path)
    assert_hosted(objects, hosted, tmp_path)
    cron_job = of_kind(objects, "CronJob")["teachwhy-nightly"]
    (nightly,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert variables_of(nightly)["PIPELINES_STORE__CA_FILE"] == file
    predictor_of = of_kind(objects, "InferenceService")["agent"]["spec"]["predictor"]
    assert variables_of(predictor_of["containers"][0])["SERVING_STORE__CA_FILE"] == file


def test_a_training_of_this_profile_is_one_that_the_cluster_takes(tmp_path: Path) -> None:
    for name in WITH_RUNNER:
        assert (
            faults(training_job.training_job(order(), profile_of(objects_of(name), tmp_path))) == []
        )


def test_without_a_gateway_the_runner_may_not_touch_services() -> None:
    rules = of_kind(objects_of("minio"), "Role")["teachwhy-runner"]["rules"]

    assert {resource for rule in rules for resource in rule["resources"]} == {
        *("pytorchjobs", "inferenceservices", "pods", "pods/log", "events"),
    }


def test_without_a_runner_nobody_may_create_anything() -> None:
    objects = objects_of("no-monitoring")

    assert of_kind(objects, "Role") == of_kind(objects, "RoleBinding") == {}
    assert of_kind(objects, "Pod") == of_kind(objects, "CronJob") == {}


def test_kserve_finds_the_keys_of_the_own_store_by_its_account() -> None:
    objects = set_to("serving.runtime=huggingface")
    (reference,) = of_kind(objects, "ServiceAccount")["teachwhy-serving"]["secrets"]
    secret = of_kind(objects, "Secret")[reference["name"]]

    assert secret["metadata"]["annotations"] == {
        "serving.kserve.io/s3-endpoint": "teachwhy-minio.lab.svc:9000",
        "serving.kserve.io/s3-region": "us-east-1",
        "serving.kserve.io/s3-usehttps": "0",
        "serving.kserve.io/s3-useanoncredential": "false",
    }
