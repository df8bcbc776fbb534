"""The fake training operator is as the real one, seen through the real clients."""

import threading
from typing import Any

import pytest
from kubeflow.training import TrainingClient, constants
from kubernetes import client as kubernetes

from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.courses import (
    completes,
    exits,
    is_evicted,
    runs_on,
)
from tests.cluster.real_clients import (
    SECONDS,
    create_job,
    job,
    refusal,
    status_of,
)


def test_the_clients_own_way_through_a_job_works(client: Any, cluster: FakeCluster) -> None:
    cluster.pods.play("*-master-0", completes("hello"))
    training = TrainingClient(
        client_configuration=client.configuration,
        namespace=NAMESPACE,
        job_kind=constants.PYTORCHJOB_KIND,
    )
    create_job(kubernetes.CustomObjectsApi(client), job())

    training.wait_for_job_conditions("why-s0", wait_timeout=SECONDS, polling_interval=1)

    assert training.is_job_succeeded("why-s0")
    assert training.get_job_pod_names("why-s0", is_master=True) == ["why-s0-master-0"]
    logs, _ = training.get_job_logs("why-s0")
    assert logs == {"why-s0-master-0": "hello\n"}


def test_conditions_follow_each_other_as_the_operator_sets_them(
    custom: Any, cluster: FakeCluster
) -> None:
    go_on = threading.Event()
    cluster.pods.play("*-master-0", completes(when=go_on))
    create_job(custom, job())
    running = status_of(custom, "Running")
    go_on.set()
    succeeded = status_of(custom, "Succeeded")

    assert [(each["type"], each["status"]) for each in running["conditions"]] == [
        ("Created", "True"),
        ("Running", "True"),
    ]
    assert [(each["type"], each["status"]) for each in succeeded["conditions"]] == [
        ("Created", "True"),
        ("Running", "False"),
        ("Succeeded", "True"),
    ]
    last = succeeded["conditions"][-1]
    assert last["reason"] == "PyTorchJobSucceeded"
    assert last["message"] == "PyTorchJob why-s0 is successfully completed."
    assert succeeded["completionTime"]


def test_an_evicted_pod_is_made_anew_whatever_the_limit(
    custom: Any, core: Any, cluster: FakeCluster
) -> None:
    go_on = threading.Event()
    cluster.pods.play("*-master-0", is_evicted(when=go_on), runs_on())
    create_job(custom, job(restarts=0))
    status_of(custom, "Running")
    before = core.read_namespaced_pod("why-s0-master-0", NAMESPACE).metadata.uid

    go_on.set()
    status_of(custom, "Restarting")
    status_of(custom, "Running")

    assert core.read_namespaced_pod("why-s0-master-0", NAMESPACE).metadata.uid != before
    events = core.list_namespaced_event(
        NAMESPACE, field_selector="involvedObject.name=why-s0-master-0,reason=Preempted"
    )
    assert len(events.items) == 1


def test_a_crash_counts_against_the_backoff_limit(custom: Any, cluster: FakeCluster) -> None:
    cluster.pods.play("*-master-0", exits(1))
    create_job(custom, job(restarts=1))

    failed = status_of(custom, "Failed")

    assert failed["conditions"][-1]["message"] == (
        "Job why-s0 has failed because it has reached the specified backoff limit"
    )


@pytest.mark.parametrize(("code", "condition"), [(1, "Failed"), (143, "Restarting")])
def test_exit_codes_decide_where_the_policy_says_so(
    custom: Any, cluster: FakeCluster, code: int, condition: str
) -> None:
    cluster.pods.play("*-master-0", exits(code), runs_on())
    body = job()
    body["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "ExitCode"
    create_job(custom, body)

    status_of(custom, condition)


def test_a_job_ends_at_its_deadline(custom: Any, cluster: FakeCluster) -> None:
    body = job()
    body["spec"]["runPolicy"]["activeDeadlineSeconds"] = 1
    create_job(custom, body)

    failed = status_of(custom, "Failed")

    assert "longer than specified deadline" in failed["conditions"][-1]["message"]


def test_nodes_get_the_variables_of_torchrun(custom: Any, core: Any, cluster: FakeCluster) -> None:
    create_job(custom, job(nodes=2, processes_per_node=4, volume={"claim": "shared"}))
    status_of(custom, "Running")

    pod = core.read_namespaced_pod("why-s0-worker-0", NAMESPACE)

    values = {each.name: each.value for each in pod.spec.containers[0].env}
    assert values["PET_NNODES"] == "2"
    assert values["PET_NPROC_PER_NODE"] == "4"
    assert values["PET_NODE_RANK"] == values["RANK"] == "1"
    assert values["WORLD_SIZE"] == "8"
    assert values["PET_MASTER_ADDR"] == values["MASTER_ADDR"] == "why-s0-master-0"
    assert values["PET_MASTER_PORT"] == "23456"
    labels = pod.metadata.labels
    assert labels[constants.JOB_NAME_LABEL] == "why-s0"
    assert labels[constants.REPLICA_TYPE_LABEL] == "worker"
    assert labels[constants.REPLICA_INDEX_LABEL] == "0"
    assert constants.JOB_ROLE_LABEL not in labels


def test_an_elastic_job_meets_at_its_first_worker(custom: Any, core: Any) -> None:
    elastic = {"min_nodes": 1, "max_nodes": 2}
    create_job(custom, job(elastic=elastic, volume={"claim": "shared"}))
    status_of(custom, "Running")

    pod = core.read_namespaced_pod("why-s0-worker-0", NAMESPACE)

    values = {each.name: each.value for each in pod.spec.containers[0].env}
    assert values["PET_RDZV_ENDPOINT"] == "why-s0-worker-0:23456"
    assert values["PET_RDZV_BACKEND"] == "c10d"
    assert values["PET_NNODES"] == "1:2"
    assert values["PET_MAX_RESTARTS"] == "3"
    assert "PET_NODE_RANK" not in values
    assert pod.metadata.labels[constants.JOB_ROLE_LABEL] == constants.JOB_ROLE_MASTER


def test_what_the_webhook_of_the_operator_refuses_is_refused(custom: Any) -> None:
    body = job()
    body["metadata"]["name"] = "8b"

    refused = refusal(create_job, custom, body)

    assert refused.status == 403
    assert "admission webhook" in str(refused.body)


def test_finished_pods_are_kept_for_their_logs_and_running_ones_are_not(
    custom: Any, core: Any, cluster: FakeCluster
) -> None:
    cluster.pods.play("*-master-0", completes("done"))
    cluster.pods.play("*-worker-*", runs_on())
    create_job(custom, job(nodes=2, volume={"claim": "shared"}))
    status_of(custom, "Succeeded")

    seen = cluster.registry.version
    while len(core.list_namespaced_pod(NAMESPACE).items) > 1:
        seen = cluster.registry.wait_beyond(seen, 1)

    assert core.read_namespaced_pod_log("why-s0-master-0", NAMESPACE) == "done\n"
