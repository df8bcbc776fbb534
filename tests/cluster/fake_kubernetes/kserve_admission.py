"""What the webhooks of KServe and Knative refuse of an InferenceService."""

import os.path
import re

from tests.cluster.fake_kubernetes.api_objects import ApiFault, Json

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_LABEL = 63
_NOT_FOR_KNATIVE = {"securityContext", "terminationGracePeriodSeconds", "hostNetwork"}
_NOT_FOR_KNATIVE_CONTAINERS = {"lifecycle", "tty", "stdin"}


def check_inference_service(body: Json) -> None:
    """Refuse what the real ones refuse.

    Raises:
        ApiFault: as the webhook answers.
    """
    metadata, predictor = body["metadata"], body["spec"]["predictor"]
    name = metadata["name"]
    if not _NAME.fullmatch(name):
        raise _refused(
            f'the InferenceService "{name}" is invalid: a InferenceService name must consist of '
            "lower case alphanumeric characters or '-', and must start with alphabetical character"
        )
    # Not the webhook, but the Deployment and the Service that the controller could not make.
    if len(f"isvc.{name}-predictor") > _LONGEST_LABEL:
        raise _refused(f'"isvc.{name}-predictor" must be no more than 63 characters')
    model = predictor.get("model") or {}
    mounts = [each["mountPath"] for each in predictor.get("storageUris") or []]
    if model.get("storageUri") and mounts:
        raise _refused("storageUri and storageUris cannot be specified at the same time")
    if len(mounts) > 1 and os.path.commonpath(mounts) == "/":
        raise _refused("storage paths must have a common parent directory")
    if metadata["annotations"].get("serving.kserve.io/deploymentMode") == "Knative":
        _check_knative(predictor, model)


def _check_knative(predictor: Json, model: Json) -> None:
    fields = _NOT_FOR_KNATIVE & predictor.keys()
    for container in (*predictor.get("containers", ()), model):
        fields |= _NOT_FOR_KNATIVE_CONTAINERS & container.keys()
        if "privileged" in container.get("securityContext", {}):
            fields |= {"privileged"}
    if fields:
        raise _refused(
            'admission webhook "validation.webhook.serving.knative.dev" denied the request: '
            f"must not set the field(s): {', '.join(sorted(fields))}"
        )


def _refused(message: str) -> ApiFault:
    return ApiFault(
        400,
        "BadRequest",
        f'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
        f"{message}",
    )
