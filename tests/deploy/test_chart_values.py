"""Every value has a text and a name that cannot be misspelled; what does not fit is refused."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from services.dataset.settings import DatasetSettings
from services.judge.settings import JudgeSettings
from services.rollout.settings import RolloutSettings
from services.scoreboard.settings import ScoreboardSettings
from services.servicekit.chat_endpoints import ChatEndpoint
from services.servicekit.settings import ServerSettings
from services.serving.settings import ServingSettings
from tests.deploy.charts import CI, helm_of, merged, values_of
from tools.chart_readme import BEGIN, README, read_values, written
from tools.chart_render import CHART, ChartRefused, render
from tools.helm_binaries import MAJORS

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
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

FREE = {
    *("labels", "podLabels", "podAnnotations", "nodeSelector", "clientPodLabels", "environment"),
    *("secrets", "files", "modelEndpoints", "serving.services"),
}
"""Maps whose keys the user chooses."""


def everything() -> Any:
    """Values in which every map has a key."""
    values = values_of()
    for path in CI.values():
        values = merged(values, values_of(path))
    return values


def maps_of(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        yield path
        for key, below in value.items():
            yield from maps_of(below, (*path, key))


def is_free(path: tuple[str, ...]) -> bool:
    return bool(path) and (path[-1] in FREE - {"services"} or ".".join(path[-2:]) in FREE)


def at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def test_the_values_fit_their_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)

    for values in (values_of(), everything()):
        assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(values)] == []


def test_no_key_anywhere_can_be_misspelled() -> None:
    values = everything()
    validator = Draft7Validator(SCHEMA)
    accepted = []
    for path in maps_of(values):
        if is_free(path) or path[-1:] == ("sources",):  # what a setting holds is the room's to say
            continue
        for key in at(values, path) or ("key",):
            wrong = copy.deepcopy(values)
            parent = at(wrong, path)
            parent[f"{key[:-1]}"] = parent.pop(key, None)
            if validator.is_valid(wrong):
                accepted.append(".".join((*path, key)))

    assert accepted == []


def test_no_map_of_the_schema_is_open_but_those_whose_keys_users_choose() -> None:
    def open_maps(node: Any, where: str) -> Iterator[str]:
        if isinstance(node, dict):
            closed = node.get("additionalProperties", True)
            if node.get("type") == "object" and closed is not False and "propertyNames" not in node:
                yield where
            for key, below in node.items():
                yield from open_maps(below, f"{where}.{key}")

    assert set(open_maps(SCHEMA, "")) == {".properties.global"}


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(
    "typo",
    [
        "servces.rollout.replicas=2",
        "services.rollout.replcas=2",
        "services.rollouts.replicas=2",
        "serviceDefaults.resources.limit.memory=1Gi",
        "services.judge.config.max_concurency=1",
        "modelEndpoints.lab.baseURL=http://x",
        "networkPolicy.names.port=53",
        "serving.services.agent.checkpoints=x",
    ],
)
def test_helm_refuses_a_misspelled_key(major: int, typo: str) -> None:
    with pytest.raises(ChartRefused, match=r"(?i)additional propert") as refused:
        render(helm_of(major), flags=["--set", "minio.enabled=true", "--set-string", typo])
    assert any(word in str(refused.value) for word in typo.split("=", maxsplit=1)[0].split("."))


@pytest.mark.parametrize(
    "wrong",
    [
        "services.rollout.replicas=two",
        "services.rollout.port=70000",
        "services.rollout.allowTo={internet}",
        "services.rollout.autoscaling.kind=vpa",
        "services.scoreboard.keepsReplies=true",
        "storage.endpoint=https://s3.example.com",
        "image.repository=Teachwhy",
        "minio.image=quay.io/minio/minio",
        "serving.url=http://models/v1",
        "nightly.schedule=at night",
        "training.scratch=much",
        "networkPolicy.modelCidrs={models.example.com}",
        "monitoring.renderMode=maybe",
    ],
)
def test_helm_refuses_a_value_that_cannot_work(wrong: str) -> None:
    with pytest.raises(ChartRefused, match="schema"):
        render(helm_of(MAJORS[-1]), flags=["--set", "minio.enabled=true", "--set", wrong])


STORED = ("storage.endpoint=s3.example.com", "storage.existingSecret=keys")
TRIAL = ("minio.enabled=true",)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ((), "storage.endpoint: give an S3 endpoint, or set minio.enabled=true"),
        (STORED[:1], "storage.existingSecret: name the secret"),
        ((*STORED, *TRIAL), "minio.enabled: storage.endpoint is set"),
        ((*TRIAL, STORED[1]), "storage.existingSecret: the chart's MinIO makes its own"),
        ((*TRIAL, "storage.caSecret=ca"), "storage.caSecret: the chart's MinIO speaks no TLS"),
        ((*TRIAL, "tls.enabled=true"), "tls.existingSecret: tls.enabled needs it"),
        (
            (*TRIAL, "tls.enabled=true", "tls.certManager.enabled=true"),
            "tls.certManager.issuerRef.name: name the issuer",
        ),
        (
            (*TRIAL, "tls.enabled=true", "tls.existingSecret=x", "tls.certManager.enabled=true"),
            "tls.certManager.enabled: tls.existingSecret is set",
        ),
        ((*TRIAL, "tls.existingSecret=x"), "tls.enabled: is false"),
        ((*TRIAL, "services.judge.enabled=false"), "services.judge.enabled: the runner asks all"),
        (
            (*TRIAL, "services.judge.autoscaling.kind=keda"),
            "services.judge.autoscaling.prometheusAddress: keda",
        ),
        (
            (*TRIAL, "serviceDefaults.autoscaling.minReplicas=9"),
            "services.dataset.autoscaling.minReplicas: must not be above maxReplicas",
        ),
        (
            (
                *TRIAL,
                "services.judge.replicas=2",
                "services.judge.podDisruptionBudget.minAvailable=2",
            ),
            "services.judge.podDisruptionBudget.minAvailable: must be below",
        ),
        (
            (
                *TRIAL,
                "modelEndpoints.default.rooms={rollout}",
                "modelEndpoints.default.baseUrl=http://x",
            ),
            "modelEndpoints.default: rollout asks hosted checkpoints",
        ),
        (
            (
                *TRIAL,
                "modelEndpoints.lab.rooms={judge}",
                "modelEndpoints.lab.baseUrl=http://x",
                "services.judge.allowTo={storage}",
            ),
            'services.judge.allowTo: needs "models"',
        ),
        ((*TRIAL, "training.nodes=2"), "training.volumeClaim: a training on several nodes"),
        ((*TRIAL, "training.elastic.enabled=true"), "training.volumeClaim: a training on several"),
        ((*TRIAL, "training.elastic.minNodes=3"), "training.elastic.minNodes: must not be above"),
        ((*STORED, "serving.runtime=huggingface"), "serving.existingServiceAccount: name the"),
        ((*TRIAL, "nightly.enabled=true"), "nightly.experiment: give the text"),
        (
            (*TRIAL, "nightly.enabled=true", "nightly.experiment=x", "runner.enabled=false"),
            "runner.enabled: the nightly evaluation",
        ),
        ((*TRIAL, "monitoring.renderMode=failIfMissing"), "monitoring.renderMode: the cluster"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused_in_words(
    pairs: tuple[str, ...], words: str
) -> None:
    flags = [flag for pair in pairs for flag in ("--set", pair)]

    with pytest.raises(ChartRefused) as refused:
        render(helm_of(MAJORS[-1]), flags=flags)
    assert words in str(refused.value)


def test_every_value_says_what_it_is() -> None:
    silent = [
        f"values.yaml:{value.line}: {value.path}" for value in read_values() if not value.text
    ]

    assert silent == []


def test_the_readme_has_every_value() -> None:
    kept = README.read_text(encoding="utf-8")

    assert BEGIN in kept
    assert kept == written(kept), "python -m tools.chart_readme"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_told_every_setting_that_the_chart_does_not_set_itself(room: str) -> None:
    allowed = SCHEMA["properties"]["services"]["properties"][room]["properties"]["config"]

    assert set(allowed["properties"]) == ROOMS[room].model_fields.keys() - BY_THE_CHART


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
