"""Every value has a text and a name that cannot be misspelled; what does not fit is refused."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from tests.deploy.charts import CI, helm_of, merged, values_of
from tests.deploy.schema_objects import schema_objects, with_key
from tools.chart_readme import BEGIN, README, read_values, written
from tools.chart_render import CHART, ChartRefused, render
from tools.helm_binaries import MAJORS

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
FREE = {
    *("labels", "podLabels", "podAnnotations", "nodeSelector", "clientPodLabels", "environment"),
    *("secrets", "files", "mounts", "modelEndpoints", "serving.services", "alertLabels"),
}
"""Maps whose keys the user chooses."""

OPEN = {
    ".properties.global",
    ".properties.modelEndpoints.additionalProperties.properties.settings.properties.extra_body",
    ".properties.services.properties.dataset.properties.config.properties.sources",
    ".properties.services.properties.rollout.properties.config.properties.prompt_folders",
}
"""Maps that hold what the room, the model's host or a parent chart has to say."""


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

    assert set(open_maps(SCHEMA, "")) == OPEN


@pytest.mark.parametrize("major", MAJORS)
def test_helm_refuses_an_unknown_key_in_every_object_there_is(major: int, tmp_path: Path) -> None:
    objects = [each.path for each in schema_objects() if not each.has_free_keys]
    values = everything()
    for path in objects:
        values = with_key(values, path, "tpyo")
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")

    with pytest.raises(ChartRefused) as refused:
        render(helm_of(major), [file])

    complaint = re.compile(r"(?:at ')?([^\s:']*)'?: additional propert\w+ '?tpyo", re.IGNORECASE)
    named = {_dotted(place) for place in complaint.findall(str(refused.value))}
    assert len(objects) > 60
    assert {".".join(path) for path in objects if _dotted(".".join(path)) not in named} == set()


def _dotted(place: str) -> str:
    """A place in values as either major writes it, in one form."""
    return re.sub(r"(?:~1|[./])+", ".", place.removeprefix("(root)")).strip(".")


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
        (
            (*TRIAL, "vault.existingClaim=v", "services.judge.mounts./x.existingClaim=v"),
            "services.judge.mounts: v is vault.existingClaim, which rollout alone may read",
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
