"""What a checkpoint asks of a cluster, held against KServe's typed models."""

import json
from typing import Any

import pytest

from pipelines.cluster.inference_service import (
    check_name,
    described,
    inference_service,
    service_name,
    serving_revision,
    variant_name,
)
from pipelines.cluster.predictor import Adapter, NotServable, Served
from pipelines.cluster.profile import ClusterProfile
from services.servicekit.chat_address import address_of
from tests.cluster.serving_profiles import GPU, OWN, STOCK, serving_profile
from tests.cluster.typed_check import assert_typed, faults

NAME = "difficult-advice-80k-s0-0123456789ab"
LONG = "difficult-advice-with-diverse-reasons-80k-s0-0123456789ab"
KIND = "V1beta1InferenceService"
ADAPTER = Adapter(start="llama-8b", rank=24)


def body(profile: ClusterProfile, **more: Any) -> dict[str, Any]:
    return inference_service(NAME, "d" * 64, profile, **more)


def own_container(profile: ClusterProfile) -> dict[str, Any]:
    (container,) = body(profile)["spec"]["predictor"]["containers"]
    return dict(container)


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
@pytest.mark.parametrize("runtime", [OWN, STOCK])
@pytest.mark.parametrize("placement", [{}, GPU])
def test_every_service_has_the_form_of_kserves_models(
    mode: str, runtime: dict[str, Any], placement: dict[str, Any]
) -> None:
    profile = serving_profile(runtime, mode=mode, placement=placement)

    assert_typed(body(profile), KIND)


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_an_adapter_has_the_form_of_kserves_models(mode: str) -> None:
    assert_typed(body(serving_profile(STOCK, mode=mode), adapter=ADAPTER), KIND)


def test_the_check_sees_unknown_fields_wrong_types_and_missing_values() -> None:
    wrong = body(serving_profile(STOCK))
    wrong["spec"]["predictor"]["model"]["storageURI"] = "s3://x"
    wrong["spec"]["predictor"]["minReplicas"] = "1"
    wrong["spec"]["predictor"]["tolerations"] = {}
    wrong["spec"]["predictor"]["volumes"].append({})

    assert sorted(faults(wrong, KIND)) == [
        ".spec.predictor.minReplicas: '1' is no int",
        ".spec.predictor.model.storageURI: V1beta1ModelSpec has no such field",
        ".spec.predictor.tolerations: {} is no list",
        ".spec.predictor.volumes[1]: V1Volume: Invalid value for `name`, must not be `None`",
    ]
    assert faults({"a": "much"}, "dict(str, ResourceQuantity)") == [".a: 'much' is no quantity"]
    assert faults({}, "V9Nothing") == [": nobody knows the kind V9Nothing"]


def test_the_stock_runtime_serves_the_checkpoint_under_its_name() -> None:
    profile = serving_profile(STOCK, placement=GPU)
    model = body(profile)["spec"]["predictor"]["model"]

    assert model["storageUri"] == f"s3://teachwhy/checkpoints/{NAME}"
    assert model["args"] == [f"--model_name={NAME}", "--model_dir=/mnt/models", *STOCK["args"]]
    assert model["runtime"] == "kserve-huggingfaceserver"
    assert model["resources"]["limits"] == {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "1"}
    assert model["readinessProbe"]["httpGet"]["path"] == f"/v2/models/{NAME}/ready"


def test_the_own_predictor_reads_the_bucket_with_mounted_keys() -> None:
    container = own_container(serving_profile())
    settings = environment(container)

    assert container["name"] == "kserve-container"
    assert json.loads(settings["SERVING_CHECKPOINTS"]) == [NAME]
    assert settings["SERVING_STORE__ENDPOINT"] == "minio.teachwhy.svc:9000"
    assert settings["SERVING_STORE__SECURE"] == "false"
    assert settings["SERVING_STORE__SECRET_KEY_FILE"] == "/run/secrets/teachwhy/store/secret_key"
    assert not any("KEY" in name and not name.endswith("_FILE") for name in settings)
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts["store"] == "/run/secrets/teachwhy/store"
    assert mounts["cache"] == settings["SERVING_CACHE_FOLDER"]


def test_a_profile_adds_settings_of_the_own_predictor() -> None:
    container = own_container(serving_profile({**OWN, "settings": {"DTYPE": "float32"}}))

    assert environment(container)["SERVING_DTYPE"] == "float32"


@pytest.mark.parametrize("runtime", [OWN, STOCK])
@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_pods_are_restricted(runtime: dict[str, Any], mode: str) -> None:
    predictor = body(serving_profile(runtime, mode=mode))["spec"]["predictor"]
    container = predictor.get("model") or predictor["containers"][0]

    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert predictor["automountServiceAccountToken"] is False
    assert {"name": "tmp", "emptyDir": {}} in predictor["volumes"]
    # Knative refuses pods that say these, unless a feature flag allows it.
    fields = {"securityContext", "terminationGracePeriodSeconds"}
    assert fields.isdisjoint(predictor) == (mode == "Knative")


def test_pods_go_where_the_profile_says() -> None:
    predictor = body(serving_profile(STOCK, placement=GPU))["spec"]["predictor"]

    assert predictor["nodeSelector"] == {"accelerator": "h100"}
    assert predictor["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert predictor["priorityClassName"] == "batch"
    assert predictor["serviceAccountName"] == "bucket-reader"
    shared = {"name": "devshm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}
    assert shared in predictor["volumes"]


def test_an_object_says_whose_it_is_and_what_it_serves() -> None:
    metadata = body(serving_profile())["metadata"]

    assert metadata["name"] == NAME
    assert metadata["namespace"] == "teachwhy"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "teachwhy"
    assert metadata["labels"]["teachwhy.dev/checkpoint"] == NAME
    assert metadata["labels"]["team"] == "alignment"
    assert metadata["annotations"] == {
        "contact": "alignment@example.org",
        "serving.kserve.io/deploymentMode": "Standard",
    }


def test_the_digest_follows_the_checkpoint_and_the_profile() -> None:
    def digest(content: str, profile: ClusterProfile) -> str:
        metadata: Any = inference_service(NAME, content, profile)["metadata"]
        return str(metadata["labels"]["teachwhy.dev/digest"])

    first = digest("a", serving_profile())

    assert len(first) == 63
    assert digest("a", serving_profile()) == first
    assert digest("b", serving_profile()) != first
    assert digest("a", serving_profile(max_replicas=2)) != first


@pytest.mark.parametrize(
    ("mode", "url", "label"),
    [
        ("Standard", "http://{model}.teachwhy.svc/v1", "networking.kserve.io/visibility"),
        ("Knative", "http://{model}.teachwhy.svc/v1", "networking.knative.dev/visibility"),
        ("Standard", "https://{model}.models.example.org/v1", None),
    ],
)
def test_what_is_measured_is_not_shown_to_the_world(mode: str, url: str, label: str | None) -> None:
    labels = body(serving_profile(mode=mode, url=url))["metadata"]["labels"]

    shown = {key: value for key, value in labels.items() if key.endswith("/visibility")}
    assert shown == ({label: "cluster-local"} if label else {})


def test_an_adapter_is_mounted_beside_the_model_it_was_trained_on() -> None:
    predictor = body(serving_profile(STOCK), adapter=ADAPTER)["spec"]["predictor"]

    assert predictor["storageUris"] == [
        {"uri": "s3://teachwhy/checkpoints/llama-8b", "mountPath": "/mnt/models/start"},
        {"uri": f"s3://teachwhy/checkpoints/{NAME}", "mountPath": "/mnt/models/adapter"},
    ]
    assert "storageUri" not in predictor["model"]
    assert predictor["model"]["args"][:5] == [
        f"--model_name={NAME}.start",
        "--model_dir=/mnt/models/start",
        "--enable-lora",
        "--max-lora-rank=32",
        f"--lora-modules={NAME}=/mnt/models/adapter",
    ]


def test_an_adapter_beyond_what_is_served_is_refused() -> None:
    with pytest.raises(NotServable, match=r"adapter of rank 513.* up to 512; train with merge"):
        body(serving_profile(STOCK), adapter=Adapter(start="llama-8b", rank=513))


def test_the_own_predictor_serves_no_adapters() -> None:
    with pytest.raises(NotServable, match=f"{NAME} holds an adapter.*merge: true"):
        body(serving_profile(OWN), adapter=ADAPTER)


@pytest.mark.parametrize("name", ["1-arm", "", "Arm", "a.b", "a" * 64])
def test_a_name_that_kserve_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(NotServable, match="cannot be an InferenceService"):
        check_name(name)


@pytest.mark.parametrize("name", [NAME, LONG, "a", "a" * 63])
def test_a_checkpoint_is_found_where_the_rollout_room_looks_for_it(name: str) -> None:
    host = f"{service_name(name)}-predictor"

    assert address_of("http://{model}-predictor/v1", name) == f"http://{host}/v1"
    assert len(f"isvc.{host}") <= 63, "the longest label that KServe makes of it"


def test_a_long_name_is_served_in_full() -> None:
    profile = serving_profile(STOCK)
    long = inference_service(LONG, "d", profile)
    predictor: Any = long["spec"]

    assert f"--model_name={LONG}" in predictor["predictor"]["model"]["args"]


def test_a_services_variant_is_another_object_than_what_is_measured() -> None:
    name = variant_name("agent", NAME)

    assert name != service_name(NAME)
    assert name != variant_name("agent", LONG)
    assert len(variant_name("s" * 63, LONG)) <= 46


@pytest.mark.parametrize("runtime", [OWN, STOCK])
def test_a_services_variant_answers_to_the_services_name(runtime: dict[str, Any]) -> None:
    served = Served(checkpoint=NAME, model="agent")
    made: Any = described("agent-1", served, "d", serving_profile(runtime), service="agent")

    assert_typed(made, KIND)
    predictor = made["spec"]["predictor"]
    assert made["metadata"]["labels"]["teachwhy.dev/service"] == "agent"
    if "model" in predictor:
        assert "--model_name=agent" in predictor["model"]["args"]
    else:
        settings = environment(predictor["containers"][0])
        assert json.loads(settings["SERVING_ALIASES"]) == {"agent": NAME}
        assert json.loads(settings["SERVING_CHECKPOINTS"]) == [NAME]


def test_the_serving_revision_follows_what_shapes_replies() -> None:
    revision = serving_revision(serving_profile(STOCK))

    assert serving_revision(serving_profile(STOCK, max_replicas=3)) == revision
    assert serving_revision(serving_profile({**STOCK, "args": ["--dtype=float32"]})) != revision
