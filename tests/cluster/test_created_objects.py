"""Every object that a run on a cluster would make is one that its cluster takes.

Nothing here talks to a cluster. Custom kinds are held against the typed models of the training
operator and of KServe, the rest against Kubernetes' own schemas at two releases; every pod must fit
the restricted security standard.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from pipelines.cluster.object_table import objects_yaml, print_objects
from pipelines.cluster.objects import PlannedObject, planned_objects
from pipelines.cluster.predictor import NotServable
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.schedule import Schedule
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.traffic import Traffic
from tests.cluster.object_checks import faults_of, pod_templates
from tests.cluster.planned_runs import cluster, example, laid_out, nightly, places_in

SEVERAL_NODES = {"nodes": 4}
ELASTIC = {"nodes": 2, "elastic": {"min_nodes": 1, "max_nodes": 4, "max_restarts": 3}}
KNATIVE = {"mode": "Knative", "min_replicas": 0}
OWN_SERVING = {
    "runtime": {"kind": "teachwhy", "image": "registry.example/teachwhy/serving:0.1.0"},
    "placement": {"cpu": "1", "memory": "2Gi"},
}
PROMOTED = {"arm": "advice-reasons", "service": "assistant", "ladder": [10, 100]}
ADAPTER = {
    "device": "cuda",
    "adapter": {"kind": "lora", "rank": 64, "merge": False},
    "optimizer": {"muon_learning_rate": None},
}
STABLE = Traffic(stable="advice-3m-s0-0123456789ab")
HALF_WAY = Traffic(stable="generic-chat-1-s0-0123456789ab")


@dataclass(frozen=True, kw_only=True)
class Case:
    """An experiment on a cluster."""

    loaded: LoadedExperiment
    profile: ClusterProfile
    traffic: Traffic | None = None
    schedule: Schedule | None = None
    more: dict[str, int] = field(default_factory=dict)
    """Objects beside trainings and what hosts checkpoints while they are measured, by kind."""


CASES = {
    "full fine-tuning on a node of GPUs, promoted at once": Case(
        loaded=example("gpu-8b"),
        profile=cluster(),
        more={"InferenceService": 1, "Service": 1, "HTTPRoute": 1},
    ),
    "full fine-tuning on several nodes, tried behind a gateway": Case(
        loaded=example("gpu-8b"),
        profile=cluster(training=SEVERAL_NODES),
        traffic=HALF_WAY,
        more={"InferenceService": 1, "Service": 1, "HTTPRoute": 1},
    ),
    "nodes that come and go, traffic split by Knative": Case(
        loaded=example("gpu-8b"),
        profile=cluster(training=ELASTIC, serving=KNATIVE),
        traffic=HALF_WAY,
        more={"InferenceService": 1},
    ),
    "adapters that are merged, without a gateway": Case(
        loaded=example("gpu-8b-lora"),
        profile=cluster(serving={"gateway": "", "gateway_hostname": ""}),
        more={"InferenceService": 1, "Service": 1},
    ),
    "adapters beside their base": Case(
        loaded=example("gpu-8b-lora", fine_tuning=ADAPTER, promotion=None),
        profile=cluster(),
    ),
    "the micro-world without GPUs, a schedule": Case(
        loaded=example("microworld"),
        profile=cluster("cluster-cpu"),
        schedule=nightly("microworld", "cluster-cpu"),
        more={"CronJob": 1, "ConfigMap": 1},
    ),
    "the micro-world in Knative, by our own predictor, promoted": Case(
        loaded=example("microworld", promotion=PROMOTED),
        profile=cluster("cluster-cpu", serving={"mode": "Knative"}),
        more={"InferenceService": 1},
    ),
    "our own predictor on a cluster of GPUs": Case(
        loaded=example("microworld", promotion=PROMOTED),
        profile=cluster(serving=OWN_SERVING, training={"volume": None}),
        more={"InferenceService": 1, "Service": 1, "HTTPRoute": 1},
    ),
    "a bucket behind a private authority": Case(
        loaded=example("microworld"),
        profile=cluster("cluster-cpu", store={"secure": True, "ca_secret": "teachwhy-store-ca"}),
        schedule=nightly("microworld", "cluster-cpu"),
        more={"CronJob": 1, "ConfigMap": 1},
    ),
    "hosted models only, every night": Case(
        loaded=example("hosted-models"),
        profile=cluster(),
        schedule=nightly("hosted-models"),
        more={"CronJob": 1, "ConfigMap": 1},
    ),
}


def objects_of(case: Case, folder: Path, *complete: str) -> list[PlannedObject]:
    return planned_objects(
        laid_out(case.loaded),
        complete,
        case.loaded,
        case.profile,
        places_in(folder).place,
        traffic=case.traffic,
        schedule=case.schedule,
    )


@pytest.mark.parametrize("name", CASES)
def test_a_cluster_takes_every_object(name: str, tmp_path: Path) -> None:
    faults = {
        f"{each.kind} {each.name}": found
        for each in objects_of(CASES[name], tmp_path)
        if (found := faults_of(each.body))
    }

    assert faults == {}


@pytest.mark.parametrize("name", CASES)
def test_every_step_that_needs_the_cluster_has_its_object(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    graph = laid_out(case.loaded)
    found = Counter(each.kind for each in objects_of(case, tmp_path))

    hosted = sum(not step.endpoint for step in graph.evaluations)
    wanted = Counter(PyTorchJob=len(graph.trainings), InferenceService=hosted) + Counter(case.more)
    assert found == wanted


@pytest.mark.parametrize("name", CASES)
def test_no_two_objects_share_a_name_and_all_are_marked_as_ours(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    objects = objects_of(case, tmp_path)

    assert len({(each.kind, each.name) for each in objects}) == len(objects)
    for each in objects:
        metadata: Any = each.body["metadata"]
        assert metadata["namespace"] == case.profile.namespace
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "teachwhy"
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "teachwhy"
        for label, value in case.profile.labels.items():
            assert metadata["labels"][label] == value


@pytest.mark.parametrize("name", CASES)
def test_only_pods_that_talk_to_the_cluster_get_its_token(name: str, tmp_path: Path) -> None:
    for each in objects_of(CASES[name], tmp_path):
        for where, _, pod in pod_templates(each.body):
            is_runner = each.kind == "CronJob"
            assert pod.get("automountServiceAccountToken") is is_runner, f"{each.name} {where}"


def test_nothing_is_made_for_what_is_in_the_store(tmp_path: Path) -> None:
    case = CASES["adapters beside their base"]
    graph = laid_out(case.loaded)

    left = objects_of(case, tmp_path, graph.trainings[0].digest, graph.evaluations[0].digest)
    nothing = objects_of(case, tmp_path, *(step.digest for step in graph.steps))

    whole = objects_of(case, tmp_path)
    assert [each.name for each in left] == [
        each.name for each in whole if each.why not in {whole[0].why, _base(whole).why}
    ]
    assert nothing == []


def _base(objects: list[PlannedObject]) -> PlannedObject:
    return next(each for each in objects if each.why.startswith("hosts base"))


def test_what_is_tried_gets_the_first_step_of_the_ladder(tmp_path: Path) -> None:
    (route,) = [
        each
        for each in objects_of(
            CASES["full fine-tuning on several nodes, tried behind a gateway"], tmp_path
        )
        if each.kind == "HTTPRoute"
    ]
    spec: Any = route.body["spec"]

    assert [each["weight"] for each in spec["rules"][0]["backendRefs"]] == [90, 10]
    assert route.why == "gives advice 15m s0 10 % of assistant, should its gate pass"


def test_several_nodes_have_a_master_and_workers_and_elastic_ones_workers_alone(
    tmp_path: Path,
) -> None:
    def replicas(name: str) -> dict[str, int]:
        spec: Any = objects_of(CASES[name], tmp_path)[0].body["spec"]
        return {kind: each["replicas"] for kind, each in spec["pytorchReplicaSpecs"].items()}

    several = replicas("full fine-tuning on several nodes, tried behind a gateway")
    elastic = replicas("nodes that come and go, traffic split by Knative")

    assert several == {"Master": 1, "Worker": 3}
    assert elastic == {"Worker": 4}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("full fine-tuning on a node of GPUs, promoted at once", ["989"]),
        ("the micro-world without GPUs, a schedule", []),
    ],
)
def test_a_training_is_told_what_its_gpus_could_compute(
    name: str, told: list[str], tmp_path: Path
) -> None:
    job = objects_of(CASES[name], tmp_path)[0]

    (pod,) = [pod for _, _, pod in pod_templates(job.body)]
    environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    found = [text for key, text in environment.items() if key == "TRAINING_PEAK_TERAFLOPS"]
    assert found == told


def test_adapters_need_a_runtime_that_serves_them(tmp_path: Path) -> None:
    case = CASES["adapters beside their base"]
    profile = cluster(serving=OWN_SERVING)

    with pytest.raises(NotServable, match="merge: true"):
        objects_of(Case(loaded=case.loaded, profile=profile), tmp_path)


def test_the_yaml_is_every_object_as_it_would_be_sent(tmp_path: Path) -> None:
    objects = objects_of(CASES["hosted models only, every night"], tmp_path)

    text = objects_yaml(objects)

    assert list(yaml.safe_load_all(text)) == [each.body for each in objects]
    assert text.startswith("---\n# measures anew, 0 2 * * * Etc/UTC\n")


def test_the_table_names_every_object_with_its_pods_and_gpus(tmp_path: Path) -> None:
    case = CASES["nodes that come and go, traffic split by Knative"]
    objects = objects_of(case, tmp_path)
    console = Console(width=200, record=True, file=io.StringIO())

    print_objects(objects, case.profile, console)

    told = console.export_text()
    for each in objects:
        assert each.name in told
    assert "1-4 x 8" in told
    assert "0-2 x 1" in told
    assert f"{len(objects)} objects" in told


# The checks themselves find what is wrong.


def test_a_kind_that_nobody_can_check_is_a_fault() -> None:
    unknown = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"}}

    assert faults_of(unknown) == [
        f"{version}: nobody can check example.org/v1 Widget" for version in ("1.30", "1.37")
    ]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("spec", "runPolcy"), {}, "KubeflowOrgV1PyTorchJobSpec has no such field"),
        (("spec", "nprocPerNode"), 8, "8 is no str"),
        (("metadata", "labels", "a"), "-", "'-' is no value of a label"),
        (("metadata", "name"), "Advice", "'Advice' is no DNS label"),
        (
            (
                *(template := ("spec", "pytorchReplicaSpecs", "Master", "template", "spec")),
                "hostNetwork",
            ),
            True,
            "hostNetwork is not allowed",
        ),
        ((*template, "nodeSelectr"), {}, "nodeSelectr"),
        ((*template, "containers", 0, "securityContext", "capabilities"), {}, "capabilities is"),
        (
            (*template, "containers", 0, "volumeMounts"),
            [{"name": "x", "mountPath": "/x"}],
            "mounts x, which is no volume",
        ),
        ((*template, "containers", 0, "resources", "limits", "memory"), "1 GB", "is no quantity"),
    ],
    ids=["unknown", "type", "label", "name", "host", "pod", "security", "mount", "quantity"],
)
def test_a_wrong_field_is_found(
    path: tuple[str | int, ...], value: object, says: str, tmp_path: Path
) -> None:
    case = CASES["full fine-tuning on a node of GPUs, promoted at once"]
    body: Any = objects_of(case, tmp_path)[0].body
    assert faults_of(body) == []
    part = body
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value

    assert says in "\n".join(faults_of(body))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rules": []}, "$.spec.rules"),
        ({"hostnames": ["Not A Host"]}, "$.spec.hostnames[0]"),
        ({"parentRef": []}, "parentRef"),
        ({"rules": [{"backendRefs": [{"name": "a", "weight": 10}]}]}, "'port' is a required"),
        ({"rules": [{"backendRefs": [{"name": "a", "port": 80, "weight": -1}]}]}, "weight"),
    ],
)
def test_a_wrong_route_is_found(change: dict[str, object], says: str, tmp_path: Path) -> None:
    case = CASES["full fine-tuning on a node of GPUs, promoted at once"]
    (route,) = [each.body for each in objects_of(case, tmp_path) if each.kind == "HTTPRoute"]
    spec: Any = route["spec"]

    assert any(says in fault for fault in faults_of({**route, "spec": {**spec, **change}}))
