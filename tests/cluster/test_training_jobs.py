"""An order as a PyTorchJob: names, pods, variables, volumes and limits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.training_job import job_name, needed_pods, training_job
from pipelines.jobs.settings import JobsSettings
from tests.cluster.fake_kubernetes.api_objects import PYTORCH_JOBS, Json, check_body
from tests.cluster.fake_kubernetes.training_pods import check_job, pod_of
from tests.cluster.training_orders import order, training_profile
from tests.cluster.typed_check import assert_typed

GPU: dict[str, Any] = {
    "nodes": 4,
    "volume": {"claim": "shared"},
    "placement": {
        "gpus": 8,
        "cpu": "96",
        "memory": "1Ti",
        "shared_memory": "64Gi",
        "node_selector": {"accelerator": "h200"},
        "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
        "priority_class": "batch",
    },
    "labels": {"kueue.x-k8s.io/queue-name": "research"},
    "service_account": "trainer",
    "restarts": 3,
}
ELASTIC: dict[str, Any] = {
    "volume": {"claim": "shared"},
    "elastic": {"min_nodes": 2, "max_nodes": 6, "max_restarts": 4},
}


def job(name: str = "why-s0", **training: Any) -> Json:
    return training_job(order(name), training_profile(**training))


def template(body: Json, kind: str = "Master") -> Json:
    found: Json = body["spec"]["pytorchReplicaSpecs"][kind]["template"]
    return found


def container(body: Json, kind: str = "Master") -> Json:
    found: Json = template(body, kind)["spec"]["containers"][0]
    return found


def environment(body: Json, kind: str = "Master") -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(body, kind)["env"]}


@pytest.mark.parametrize("training", [{}, GPU, ELASTIC], ids=["cpu", "gpu", "elastic"])
def test_a_job_is_what_the_operator_and_the_server_take(training: dict[str, Any]) -> None:
    body = job(**training)

    assert_typed(body, "KubeflowOrgV1PyTorchJob")
    check_body(PYTORCH_JOBS, body, "PyTorchJob")
    check_job(body)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_every_order_has_a_name_that_the_operator_takes(name: str) -> None:
    body = training_job(order(name), training_profile(**GPU))

    check_job(body)
    body["metadata"]["uid"] = "1"
    pod = pod_of(body, "Worker", 510, None)
    assert len(pod["metadata"]["name"]) <= 63


def test_long_names_that_begin_alike_stay_different() -> None:
    names = {job_name(order(f"{'a' * 60}-{number}")) for number in range(3)}

    assert len(names) == 3


def test_a_name_that_fits_is_the_orders_own() -> None:
    assert job_name(order("why-s0")) == "why-s0"
    assert job_name(order("8b-s0")) == "train-8b-s0"


def test_the_pod_carries_the_order_out_with_the_keys_of_the_secret() -> None:
    body = job()

    assert container(body)["name"] == "pytorch"
    assert container(body)["command"] == [
        *("python", "-m", "pipelines.jobs"),
        "orders/why-s0/order.json",
    ]
    mounted = {each["name"]: each for each in container(body)["volumeMounts"]}
    folder = mounted["store-keys"]["mountPath"]
    assert environment(body)["JOBS_STORE__ACCESS_KEY_FILE"] == f"{folder}/access_key"
    assert environment(body)["JOBS_STORE__SECRET_KEY_FILE"] == f"{folder}/secret_key"
    secrets = [each["secret"] for each in template(body)["spec"]["volumes"] if "secret" in each]
    assert secrets == [{"secretName": "bucket-keys"}]


@pytest.mark.parametrize("training", [{}, GPU, ELASTIC], ids=["cpu", "gpu", "elastic"])
def test_the_variables_are_settings_that_the_program_knows(
    training: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    kinds = job(**training)["spec"]["pytorchReplicaSpecs"]
    for kind in kinds:
        for name, value in environment(job(**training), kind).items():
            if name.endswith("_FILE"):
                (tmp_path / name).touch()
                monkeypatch.setenv(name, str(tmp_path / name))
            elif name.startswith("JOBS_"):
                monkeypatch.setenv(name, value)

    read = JobsSettings()

    assert read.store.bucket == "teachwhy"
    assert read.store.secure is False
    assert str(read.folder) == "/scratch/job"


def test_without_a_volume_checkpoints_go_into_the_store() -> None:
    assert "JOBS_CHECKPOINT_FOLDER" not in environment(job())
    assert environment(job(**GPU), "Worker")["JOBS_CHECKPOINT_FOLDER"] == "/volume/orders"


def test_gpus_are_asked_for_and_limited_alike() -> None:
    resources = container(job(**GPU))["resources"]

    assert resources["requests"] == resources["limits"]
    assert resources["limits"] == {"cpu": "96", "memory": "1Ti", "nvidia.com/gpu": "8"}
    assert "nvidia.com/gpu" not in container(job())["resources"]["limits"]


def test_nodes_are_a_master_and_workers_with_a_process_for_each_gpu() -> None:
    spec = job(**GPU)["spec"]

    assert {kind: each["replicas"] for kind, each in spec["pytorchReplicaSpecs"].items()} == {
        "Master": 1,
        "Worker": 3,
    }
    assert spec["nprocPerNode"] == "8"
    assert "elasticPolicy" not in spec


def test_an_elastic_training_has_no_master() -> None:
    spec = job(**ELASTIC)["spec"]

    assert list(spec["pytorchReplicaSpecs"]) == ["Worker"]
    assert spec["pytorchReplicaSpecs"]["Worker"]["replicas"] == 6
    assert spec["elasticPolicy"] == {
        "rdzvBackend": "c10d",
        "minReplicas": 2,
        "maxReplicas": 6,
        "maxRestarts": 4,
    }
    assert needed_pods(training_profile(**ELASTIC).training) == 2


def test_pods_are_placed_as_the_profile_says() -> None:
    pod = template(job(**GPU), "Worker")["spec"]

    assert pod["nodeSelector"] == {"accelerator": "h200"}
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert pod["priorityClassName"] == "batch"
    assert pod["serviceAccountName"] == "trainer"
    memory = next(each for each in pod["volumes"] if each["name"] == "shared-memory")
    assert memory["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Gi"}


@pytest.mark.parametrize("kind", ["Master", "Worker"])
def test_pods_keep_to_the_restricted_standard(kind: str) -> None:
    pod = template(job(**GPU), kind)["spec"]
    inside = container(job(**GPU), kind)["securityContext"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inside["allowPrivilegeEscalation"] is False
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["capabilities"] == {"drop": ["ALL"]}


def test_metrics_are_read_from_the_pod_that_leads() -> None:
    body = job(**GPU)

    assert container(body)["ports"] == [{"name": "metrics", "containerPort": 9105}]
    assert environment(body)["TRAINING_METRICS_PORT"] == "9105"
    assert "ports" not in container(body, "Worker")
    assert "TRAINING_METRICS_PORT" not in environment(body, "Worker")


def test_the_run_policy_is_that_of_the_profile() -> None:
    policy = job(**GPU, deadline_seconds=7200, keep_seconds=600)["spec"]["runPolicy"]

    # Four pods that crash together three times; the operator gives up when it reaches the limit.
    assert policy == {
        "cleanPodPolicy": "Running",
        "ttlSecondsAfterFinished": 600,
        "activeDeadlineSeconds": 7200,
        "backoffLimit": 13,
    }


def test_labels_and_annotations_of_the_profile_are_on_everything() -> None:
    body = job(**GPU)

    for metadata in (body["metadata"], template(body, "Worker")["metadata"]):
        assert metadata["labels"]["team"] == "alignment"
        assert metadata["labels"]["kueue.x-k8s.io/queue-name"] == "research"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "teachwhy"
        assert metadata["labels"]["teachwhy.dev/order"] == "why-s0"
        assert metadata["annotations"] == {"contact": "alignment@example.org"}


def digest_of_job(profile: ClusterProfile, digest: str = "5ca1e") -> str:
    body = training_job(order(digest=digest), profile)
    return str(body["metadata"]["labels"]["teachwhy.dev/digest"])


def test_another_order_or_another_profile_is_another_job() -> None:
    digests = {
        digest_of_job(training_profile()),
        digest_of_job(training_profile(), digest="0ther"),
        digest_of_job(training_profile(image="registry.example/teachwhy-training:2")),
        digest_of_job(training_profile(nodes=2, volume={"claim": "shared"})),
    }

    assert len(digests) == 4
    assert digest_of_job(training_profile()) == digest_of_job(training_profile())
