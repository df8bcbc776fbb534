"""Values and settings: all that a room can be told can be given, and nothing else can."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.dataset.settings import DatasetSettings
from services.judge.settings import JudgeSettings
from services.rollout.settings import RolloutSettings
from services.scoreboard.settings import ScoreboardSettings
from services.servicekit.channel import ChannelSettings
from services.servicekit.chat_endpoints import ChatEndpoint
from services.servicekit.settings import ServerSettings
from services.servicekit.storage.settings import StoreSettings
from services.serving.settings import ServingSettings
from tests.deploy.charts import CI, Body, objects_of, of_kind, set_to, values_of, variables_of
from tests.deploy.schema_objects import SCHEMA, resolved
from tests.deploy.settings_schema import schema_of
from tools.chart_render import ROOT

ROOMS: dict[str, type[ServerSettings]] = {
    "dataset": DatasetSettings,
    "judge": JudgeSettings,
    "rollout": RolloutSettings,
    "scoreboard": ScoreboardSettings,
}
BY_THE_CHART = {
    *("cache_folder", "checkpoints", "aliases", "drain_seconds", "endpoints", "host", "judge"),
    *("judge_channel", "metrics_port", "parent_pid", "port", "store", "tls_certificate_file"),
    *("tls_client_ca_file", "tls_key_file", "token_file", "vault_folder"),
}
"""Settings that other values of the chart, or nobody, may set."""

NOBODY = {"parent_pid": "a room in a pod has no parent that may end before it"}
"""Settings that nothing in the chart sets, and why."""

NOT_IN_A_CLUSTER = {
    "root": "a folder is no store that pods share",
    "access_key": "keys are read from files",
    "secret_key": "keys are read from files",
}
"""Settings of a store that nothing in the chart sets, and why."""


def config_of(room: str) -> dict[str, Any]:
    """What the schema says of each setting that a room's `config` may have."""
    service = SCHEMA["properties"]["services"]["properties"][room]
    properties = service["properties"]["config"]["properties"]
    return {name: dict(resolved(field)) for name, field in properties.items()}


def set_by_the_chart(room: str) -> Iterator[str]:
    """Names of variables that any file of ci/ gives a room, without its prefix."""
    for name in CI:
        body = of_kind(objects_of(name), "Deployment")[f"teachwhy-{room}"]
        for container in body["spec"]["template"]["spec"]["containers"]:
            for variable in variables_of(container):
                yield variable.removeprefix(f"{room.upper()}_").lower()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_told_every_setting_that_the_chart_does_not_set_itself(room: str) -> None:
    assert config_of(room).keys() == ROOMS[room].model_fields.keys() - BY_THE_CHART


@pytest.mark.parametrize("room", ROOMS)
def test_every_other_setting_of_a_room_is_set_by_a_value(room: str) -> None:
    given = {name.split("__")[0] for name in set_by_the_chart(room)}
    wanted = ROOMS[room].model_fields.keys() & BY_THE_CHART

    assert wanted - given == set(NOBODY)


def test_every_setting_of_storage_and_of_the_channel_to_the_judge_is_set_by_a_value() -> None:
    given = set(set_by_the_chart("dataset"))

    store = {f"store__{name}" for name in StoreSettings.model_fields}
    assert store - given == {f"store__{name}" for name in NOT_IN_A_CLUSTER}
    assert {f"judge_channel__{name}" for name in ChannelSettings.model_fields} <= given


@pytest.mark.parametrize("room", ROOMS)
def test_the_schema_says_of_a_setting_what_the_room_says(room: str) -> None:
    told = config_of(room)
    wanted = {name: schema_of(ROOMS[room], name) for name in told}

    assert {name: json.dumps(field) for name, field in told.items() if field != wanted[name]} == {}


def test_the_schema_says_of_model_hosts_what_the_rooms_say() -> None:
    endpoint = SCHEMA["properties"]["modelEndpoints"]["additionalProperties"]["properties"]
    told = endpoint["settings"]["properties"]

    assert told == {name: schema_of(ChatEndpoint, name) for name in told}


def test_what_all_rooms_can_be_told_is_what_all_rooms_have() -> None:
    common = set(SCHEMA["definitions"]["commonConfig"]["properties"])
    serving = set(SCHEMA["properties"]["serving"]["properties"]["config"]["properties"])
    endpoint = SCHEMA["properties"]["modelEndpoints"]["additionalProperties"]["properties"]

    assert common == ServerSettings.model_fields.keys() - BY_THE_CHART
    assert serving == ServingSettings.model_fields.keys() - BY_THE_CHART
    assert set(endpoint["settings"]["properties"]) == ChatEndpoint.model_fields.keys() - {
        *("base_url", "protocol", "api_key_file"),
    }


@pytest.mark.parametrize("room", ROOMS)
def test_ports_are_those_of_the_settings(room: str) -> None:
    service = values_of()["services"][room]
    fields = ROOMS[room].model_fields

    assert service["port"] == fields["port"].default
    assert service["metricsPort"] == fields["metrics_port"].default


def test_the_table_of_services_has_the_ports_of_the_chart() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {
        cells[1].strip(" `").removeprefix("services/"): (cells[2].strip(), cells[3].strip())
        for cells in (line.split("|") for line in text.splitlines() if line.startswith("| `serv"))
    }
    services = values_of()["services"]

    assert rows.pop("serving") == ("HTTP 8080", "8080")
    assert rows == {
        name: (f"gRPC {service['port']}", str(service["metricsPort"]))
        for name, service in services.items()
    }


def test_further_files_are_mounted_to_be_read_where_they_are_asked_for() -> None:
    rollout = of_kind(
        set_to("services.rollout.mounts./data/more.existingClaim=more"), "Deployment"
    )["teachwhy-rollout"]["spec"]["template"]["spec"]
    everything = of_kind(objects_of("everything"), "Deployment")
    pods = {name: body["spec"]["template"]["spec"] for name, body in everything.items()}

    assert files_of(rollout) == {"/data/more": {"claimName": "more", "readOnly": True}}
    assert files_of(pods["teachwhy-dataset"]) == {"/data/tokenizer": {"name": "tokenizer"}}
    assert files_of(pods["teachwhy-rollout"]) == {
        "/data/keys": {"secretName": "pack-keys", "defaultMode": 0o440},
        "/data/packs": {"name": "packs"},
    }
    assert files_of(pods["teachwhy-judge"]) == {}


def files_of(pod: Body) -> dict[str, Any]:
    """What is mounted below /data, by folder; nothing there can be written to."""
    volumes = {each.pop("name"): each for each in map(dict, pod["volumes"])}
    mounts = [
        each
        for container in pod["containers"]
        for each in container["volumeMounts"]
        if each["mountPath"].startswith("/data/")
    ]
    assert all(each["readOnly"] for each in mounts)
    return {each["mountPath"]: next(iter(volumes[each["name"]].values())) for each in mounts}
