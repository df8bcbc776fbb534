"""Who may talk to whom, once the policies are in force: exactly this, and nothing else."""

import itertools
from pathlib import Path

import pytest

from tests.deploy.charts import CI, Body, objects_of, of_kind, rendered, set_to
from tests.deploy.network import Place, may_connect, pods_of, selects
from tests.deploy.of_runs import pods_of_runs, profile_of

PROMETHEUS = Place(namespace="monitoring")
SOMEBODY = Place(labels={"app": "other"})
"""A pod of the namespace that nobody here knows."""

STRANGER = Place(namespace="elsewhere")
INTERNET = Place(address="198.51.100.7", is_outside=True)
NAMES = Place(namespace="kube-system", labels={"k8s-app": "kube-dns"})

GRPC = {"dataset": 50051, "rollout": 50052, "judge": 50053, "scoreboard": 50054}
METRICS = {"dataset": 9101, "rollout": 9102, "judge": 9103, "scoreboard": 9104}
PORTS = {*GRPC.values(), *METRICS.values(), 53, 80, 443, 6443, 8080, 9000, 9105, 29500}
RUNNERS = ("the health test", "a schedule")
"""Pods that carry out steps."""


def policies_of(objects: list[Body]) -> list[Body]:
    return list(of_kind(objects, "NetworkPolicy").values())


def places_of(objects: list[Body], folder: Path) -> dict[str, Place]:
    own = {name.removeprefix("teachwhy-"): place for name, place in pods_of(objects)}
    own["the health test"] = own.pop("health")
    return {
        **own,
        **pods_of_runs(profile_of(objects, folder)),
        "Prometheus": PROMETHEUS,
        "somebody": SOMEBODY,
        "a stranger": STRANGER,
        "the internet": INTERNET,
        "names": NAMES,
    }


def connections(policies: list[Body], places: dict[str, Place]) -> set[tuple[str, str, int]]:
    return {
        (source, target, port)
        for (source, one), (target, other), port in itertools.product(
            places.items(), places.items(), PORTS
        )
        if may_connect(policies, one, other, port)
    }


def test_every_connection_that_is_possible_is_needed(tmp_path: Path) -> None:
    objects = objects_of("minio")
    places = places_of(objects, tmp_path)
    free = ("somebody", "a stranger", "Prometheus", "the internet", "names")  # they have no policy
    talking = {
        one for one in connections(policies_of(objects), places) if {one[0], one[1]} - set(free)
    }

    guarded = set(places) - set(free)
    expected = {
        *((runner, room, port) for runner in RUNNERS for room, port in GRPC.items()),
        ("dataset", "judge", GRPC["judge"]),
        ("rollout", "a checkpoint", 8080),
        *((pod, "minio", 9000) for pod in guarded - {"minio"}),
        *(("a training", "a training", port) for port in PORTS),
        *(("Prometheus", room, port) for room, port in METRICS.items()),
        ("Prometheus", "a training", 9105),
        ("Prometheus", "a checkpoint", 8080),
        *((pod, "names", 53) for pod in guarded - {"minio"}),
        # The address of the API server is anybody's, unless networkPolicy.apiServerCidrs says.
        *((runner, place, port) for runner in RUNNERS for place in free for port in (443, 6443)),
    }
    assert talking == expected


def test_names_are_asked_by_both_protocols(tmp_path: Path) -> None:
    objects = objects_of("minio")
    policies = policies_of(objects)

    for name, place in places_of(objects, tmp_path).items():
        if name not in {"minio", "somebody", "Prometheus", "a stranger", "names", "the internet"}:
            assert may_connect(policies, place, NAMES, 53, "UDP")


def test_the_api_server_is_all_that_a_runner_reaches_where_its_address_is_given() -> None:
    policies = policies_of(set_to("networkPolicy.apiServerCidrs={192.0.2.1/32}"))
    runner = Place(
        labels={"app.kubernetes.io/name": "teachwhy", "app.kubernetes.io/component": "runner"}
    )
    api = Place(address="192.0.2.1", is_outside=True)

    assert may_connect(policies, runner, api, 443)
    assert not may_connect(policies, runner, INTERNET, 443)


def test_only_rooms_that_ask_models_reach_them_and_only_where_they_are() -> None:
    objects = objects_of("token")
    policies, pods = policies_of(objects), dict(pods_of(objects))
    models = Place(address="203.0.113.9", is_outside=True)
    reaching = {name for name, pod in pods.items() if may_connect(policies, pod, models, 443)}
    out = {name for name, pod in pods.items() if may_connect(policies, pod, INTERNET, 443)}

    # Storage has no addresses here, so its port is open to all that use it.
    assert reaching == out == set(pods)
    narrow = policies_of(
        set_to(
            "modelEndpoints.lab.rooms={judge}",
            "modelEndpoints.lab.baseUrl=https://models.example.com/v1",
            "networkPolicy.modelCidrs={203.0.113.0/24}",
        )
    )
    assert {name for name, pod in pods.items() if may_connect(narrow, pod, models, 443)} == {
        *("teachwhy-judge", "teachwhy-health")
    }
    assert not may_connect(narrow, pods["teachwhy-judge"], INTERNET, 443)


def test_storage_elsewhere_is_reached_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    objects = objects_of("gpu")
    policies = policies_of(objects)
    places = places_of(objects, tmp_path)
    for pod in ("dataset", "scoreboard", "a training", "a checkpoint", "a schedule"):
        assert may_connect(policies, places[pod], INTERNET, 9000)
    assert not may_connect(policies, places["scoreboard"], INTERNET, 443)


@pytest.mark.parametrize(
    ("pairs", "port"),
    [
        (("storage.endpoint=s3.example.com",), 443),
        (("storage.endpoint=s3.example.com", "storage.secure=false"), 80),
        (("storage.endpoint=s3.example.com:9443",), 9443),
        (("storage.endpoint=minio.storage.svc", "storage.port=9000"), 9000),
    ],
)
def test_policies_open_the_port_at_which_storage_listens(pairs: tuple[str, ...], port: int) -> None:
    flags = [flag for pair in (*pairs, "storage.existingSecret=keys") for flag in ("--set", pair)]
    policies = policies_of(rendered(flags=tuple(flags)))
    scoreboard = dict(pods_of(objects_of("minimal")))["teachwhy-scoreboard"]

    assert [
        each for each in sorted(PORTS | {9443}) if may_connect(policies, scoreboard, INTERNET, each)
    ] == [port]


def test_gateways_lead_requests_to_checkpoints(tmp_path: Path) -> None:
    objects = objects_of("gpu")
    policies, places = policies_of(objects), places_of(objects, tmp_path)

    for namespace in ("istio-system", "envoy-gateway-system"):
        gateway = Place(namespace=namespace)
        assert may_connect(policies, gateway, places["a checkpoint"], 8080)
        assert may_connect(policies, gateway, places["agent"], 8080)
        assert not may_connect(policies, gateway, places["rollout"], GRPC["rollout"])
    assert not may_connect(policies, STRANGER, places["a checkpoint"], 8080)


def test_knative_stands_between_rollout_and_checkpoints(tmp_path: Path) -> None:
    objects = objects_of("everything")
    policies, places = policies_of(objects), places_of(objects, tmp_path)
    knative = Place(namespace="knative-serving")

    assert may_connect(policies, places["rollout"], knative, 8012)
    assert may_connect(policies, knative, places["a checkpoint"], 8012)
    assert may_connect(policies, places["rollout"], places["a checkpoint"], 8012)
    assert not may_connect(policies, places["judge"], places["a checkpoint"], 8012)


def test_further_clients_call_rooms_and_the_own_store() -> None:
    objects = objects_of("everything")
    policies, pods = policies_of(objects), dict(pods_of(objects))
    step = Place(labels={"pipelines.kubeflow.org/v2_component": "true"})

    assert may_connect(policies, step, pods["teachwhy-judge"], GRPC["judge"])
    assert may_connect(policies, step, pods["teachwhy-minio"], 9000)
    assert not may_connect(policies, SOMEBODY, pods["teachwhy-judge"], GRPC["judge"])


def test_names_may_be_kept_elsewhere() -> None:
    objects = objects_of("everything")
    policies, pods = policies_of(objects), dict(pods_of(objects))
    cache = Place(address="169.254.20.10", is_outside=True)

    assert may_connect(policies, pods["teachwhy-judge"], Place(namespace="openshift-dns"), 5353)
    assert may_connect(policies, pods["teachwhy-judge"], cache, 5353, "UDP")
    assert not may_connect(policies, pods["teachwhy-judge"], NAMES, 53)


@pytest.mark.parametrize("name", sorted(CI.keys() - {"no-monitoring"}))
def test_every_pod_is_shut_both_ways_before_anything_is_opened(name: str, tmp_path: Path) -> None:
    objects = objects_of(name)
    for pod, place in places_of(objects, tmp_path).items():
        if place.namespace != "lab" or place.is_outside or pod == "somebody":
            continue
        shut = {
            direction
            for policy in policies_of(objects)
            if selects(policy["spec"]["podSelector"], place.labels)
            for direction in policy["spec"]["policyTypes"]
        }
        assert shut == {"Ingress", "Egress"}, pod


def test_policies_can_be_left_to_somebody_else() -> None:
    assert policies_of(objects_of("no-monitoring")) == []
