"""Each process of the chart starts with what it is told: its settings take every variable."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pydantic_settings import BaseSettings
from teachwhy.dataset.v1 import dataset_service_pb2
from teachwhy.judge.v1 import judge_service_pb2
from teachwhy.rollout.v1 import rollout_service_pb2
from teachwhy.scoreboard.v1 import scoreboard_service_pb2

from pipelines.experiment.settings import PipelinesSettings
from services.dataset.settings import DatasetSettings
from services.judge.settings import JudgeSettings
from services.rollout.settings import RolloutSettings
from services.scoreboard.settings import ScoreboardSettings
from services.servicekit.settings import ServerSettings, read_settings
from services.serving.settings import ServingSettings
from tests.deploy.charts import CI, Body, containers_of, objects_of, of_kind, set_to, variables_of
from tools.chart_render import CHART

ROOMS: dict[str, type[ServerSettings]] = {
    "dataset": DatasetSettings,
    "judge": JudgeSettings,
    "rollout": RolloutSettings,
    "scoreboard": ScoreboardSettings,
}
SERVICES = {
    "dataset": dataset_service_pb2.DESCRIPTOR.services_by_name["DatasetService"].full_name,
    "judge": judge_service_pb2.DESCRIPTOR.services_by_name["JudgeService"].full_name,
    "rollout": rollout_service_pb2.DESCRIPTOR.services_by_name["RolloutService"].full_name,
    "scoreboard": scoreboard_service_pb2.DESCRIPTOR.services_by_name["ScoreboardService"].full_name,
}
PREFIXES = ("DATASET_", "JUDGE_", "ROLLOUT_", "SCOREBOARD_", "SERVING_", "PIPELINES_")
FILES = re.compile(r'/run/secrets/[^\s"]+|/data/[^\s"]+\.\w+')
KEYS = {
    "store": {"access_key", "secret_key"},
    "store-ca": {"ca.crt"},
    "tls": {"tls.crt", "tls.key", "ca.crt"},
    "auth": {"token"},
}
"""Keys that secrets must have, by the folder that each is mounted at."""


def settings_of(container: Body) -> type[BaseSettings]:
    name = container["name"]
    if name in ROOMS:
        return ROOMS[name]
    return ServingSettings if name == "kserve-container" else PipelinesSettings


def read_as_in_the_pod(
    container: Body, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> BaseSettings:
    """Read the settings as the process does, with the files of its secrets below a folder."""
    for name in os.environ:
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    for name, value in variables_of(container).items():
        for path in FILES.findall(value):
            below, key = path.rsplit("/", 1)
            assert below in mounted, f"{name}: nothing is mounted at {below}"
            assert key in KEYS.get(below.rsplit("/", 1)[1], {key}), f"{name}: {key}"
            (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.lstrip("/")).write_text("x", encoding="utf-8")
        if name != "HOME":
            monkeypatch.setenv(name, FILES.sub(lambda found: f"{folder}{found[0]}", value))
    return read_settings(settings_of(container))


def ours(name: str) -> Iterator[tuple[Body, Body]]:
    """Containers whose settings are ours, with their objects."""
    for body, _, container in containers_of(objects_of(name)):
        if container["name"] != "minio":
            yield body, container


@pytest.mark.parametrize("name", CI)
def test_every_process_takes_all_its_variables(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    for body, container in ours(name):
        seen.add(container["name"])
        settings: Any = read_as_in_the_pod(container, tmp_path, monkeypatch)
        assert settings.store.kind == "s3"
        assert settings.store.bucket == "teachwhy"
        if body["kind"] == "Deployment":
            ports = {each["name"]: each["containerPort"] for each in container["ports"]}
            assert (settings.port, settings.metrics_port) == (ports["grpc"], ports["metrics"])
            assert settings.host == "0.0.0.0"
            pod = body["spec"]["template"]["spec"]
            assert pod["terminationGracePeriodSeconds"] > settings.drain_seconds
    assert seen >= ROOMS.keys()


def test_a_pod_gets_longer_than_its_room_waits_and_drains() -> None:
    told = ("services.judge.drainSeconds=40", "services.judge.config.drain_pause_seconds=20")

    judge = of_kind(set_to(*told), "Deployment")["teachwhy-judge"]["spec"]["template"]["spec"]

    assert variables_of(judge["containers"][0])["JUDGE_DRAIN_PAUSE_SECONDS"] == "20"
    assert judge["terminationGracePeriodSeconds"] >= 40 + 20 + 10


def test_further_settings_reach_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    containers = {each["name"]: each for _, each in ours("everything")}
    dataset: Any = read_as_in_the_pod(containers["dataset"], tmp_path, monkeypatch)
    serving: Any = read_as_in_the_pod(containers["kserve-container"], tmp_path, monkeypatch)

    rollout: Any = read_as_in_the_pod(containers["rollout"], tmp_path, monkeypatch)

    assert (dataset.max_concurrency, dataset.log_level) == (8, "debug")
    assert dataset.tokenizer_file == tmp_path / "data/tokenizer/tokenizer.json"
    assert rollout.pack_folders == (Path("/data/packs"),)
    assert dataset.sources == {"replay": "store:chats/replay.parquet"}
    assert (dataset.store.timeout_seconds, dataset.store.max_attempts) == (30, 4)
    assert dataset.judge == "teachwhy-judge.lab.svc:50053"
    assert dataset.judge_channel.max_message_bytes == 33554432
    assert dataset.judge_channel.token_file.name == "token"
    assert dataset.judge_channel.key_file.name == "tls.key"
    assert serving.max_batch_size == 32


def test_model_hosts_and_their_keys_reach_the_rooms_they_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers = {each["name"]: each for _, each in ours("token")}
    read = {room: read_as_in_the_pod(containers[room], tmp_path, monkeypatch) for room in ROOMS}
    hosts = {room: getattr(each, "endpoints", {}) for room, each in read.items()}

    assert {room: set(each) for room, each in hosts.items()} == {
        "dataset": {"lab", "writer"},
        "rollout": {"default", "lab"},
        "judge": {"lab"},
        "scoreboard": set(),
    }
    assert hosts["dataset"]["writer"].protocol == "anthropic"
    assert hosts["judge"]["lab"].max_connections == 16
    secrets = {
        room: {
            each["secret"]["secretName"]
            for each in of_kind(objects_of("token"), "Deployment")[f"teachwhy-{room}"]["spec"][
                "template"
            ]["spec"]["volumes"]
            if "secret" in each
        }
        for room in ROOMS
    }
    assert "writer-key" in secrets["dataset"]
    assert "writer-key" not in secrets["judge"] | secrets["rollout"] | secrets["scoreboard"]
    assert "lab-key" not in secrets["scoreboard"]


def test_rollout_asks_hosted_checkpoints_where_the_profile_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers = {each["name"]: each for _, each in ours("minimal")}
    rollout: Any = read_as_in_the_pod(containers["rollout"], tmp_path, monkeypatch)

    address = "http://{model}-predictor.lab.svc.cluster.local/openai/v1"
    assert rollout.endpoints["default"].base_url == address


def test_held_out_scenarios_are_mounted_in_rollout_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = {
        name: [
            each["persistentVolumeClaim"]
            for each in body["spec"]["template"]["spec"]["volumes"]
            if "persistentVolumeClaim" in each
        ]
        for name, body in of_kind(objects_of("everything"), "Deployment").items()
    }
    containers = {each["name"]: each for _, each in ours("everything")}
    rollout: Any = read_as_in_the_pod(containers["rollout"], tmp_path, monkeypatch)

    assert {name for name, found in claims.items() if found} == {"teachwhy-rollout"}
    assert claims["teachwhy-rollout"] == [{"claimName": "teachwhy-held-out", "readOnly": True}]
    mounts = {each["mountPath"]: each for each in containers["rollout"]["volumeMounts"]}
    assert mounts[str(rollout.vault_folder)]["readOnly"] is True


def test_everything_that_a_process_writes_lies_in_a_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("minio", "everything"):
        for body, pod, container in containers_of(objects_of(name)):
            volumes = {each["name"]: each for each in pod["volumes"]}
            writable = {
                each["mountPath"]
                for each in container["volumeMounts"]
                if "emptyDir" in volumes.get(each["name"], {"emptyDir": {}})
            }
            assert "/tmp" in writable, body["metadata"]["name"]
            if container["name"] == "minio":
                continue
            settings = read_as_in_the_pod(container, tmp_path, monkeypatch)
            kept = getattr(settings, "cache_folder", None) or getattr(settings, "runs_folder", None)
            if kept is not None:
                assert any(Path(kept).is_relative_to(each) for each in writable)


def test_kubelets_ask_rooms_by_grpc_where_they_can() -> None:
    for name, body in of_kind(objects_of("minio"), "Deployment").items():
        room = name.removeprefix("teachwhy-")
        (container,) = body["spec"]["template"]["spec"]["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["grpc"] == {
                "port": container["ports"][0]["containerPort"],
                "service": SERVICES[room],
            }


def test_kubelets_that_speak_no_tls_ask_the_metrics_port() -> None:
    for name in ("tls", "token"):
        for body in of_kind(objects_of(name), "Deployment").values():
            (container,) = body["spec"]["template"]["spec"]["containers"]
            for probe in ("startupProbe", "readinessProbe"):
                assert container[probe]["httpGet"] == {"path": "/ready", "port": "metrics"}
            assert container["livenessProbe"]["tcpSocket"] == {"port": "grpc"}


def test_the_certificate_has_every_name_that_callers_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = of_kind(objects_of("tls"), "Certificate")["teachwhy-tls"]["spec"]
    containers = {each["name"]: each for _, each in ours("tls")}
    dataset: Any = read_as_in_the_pod(containers["dataset"], tmp_path, monkeypatch)
    health_test = containers["health"]["args"][1:]
    called = {each.split("=")[1].split(":")[0] for each in health_test}

    assert {dataset.judge.split(":")[0]} <= called <= set(certificate["dnsNames"])
    assert certificate["secretName"] == "teachwhy-tls"
    assert {"server auth", "client auth"} == set(certificate["usages"])


def test_a_room_that_is_left_out_leaves_nothing_behind() -> None:
    objects = set_to("runner.enabled=false", "services.judge.enabled=false")
    dataset = of_kind(objects, "Deployment")["teachwhy-dataset"]
    (container,) = dataset["spec"]["template"]["spec"]["containers"]

    assert "teachwhy-judge" not in {body["metadata"]["name"] for body in objects}
    assert not any("JUDGE" in name for name in variables_of(container))


@pytest.fixture
def judge_port() -> Iterator[int]:
    """A server that says of the judge that it serves, and of rollout that it does not."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set(SERVICES["judge"], health_pb2.HealthCheckResponse.SERVING)
    servicer.set(SERVICES["rollout"], health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_the_health_test_says_which_room_does_not_serve(judge_port: int) -> None:
    program = of_kind(objects_of("minio"), "Pod")["teachwhy-health"]["spec"]["containers"][0]
    script = program["args"][0]
    assert script.rstrip() == (CHART / "files" / "rooms_answer.py").read_text().rstrip()

    def ask(*rooms: str) -> subprocess.CompletedProcess[str]:
        addresses = [f"{room}=127.0.0.1:{judge_port}" for room in rooms]
        command = [sys.executable, "-c", script, *addresses]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert ask("judge").returncode == 0
    both = ask("judge", "rollout")
    assert both.returncode == 1
    assert f"judge at 127.0.0.1:{judge_port}: SERVING" in both.stdout
    assert f"rollout at 127.0.0.1:{judge_port}: NOT_SERVING" in both.stdout
