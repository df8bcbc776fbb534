"""A checkpoint as an InferenceService: its name, its labels, and what it asks of the cluster.

Knows no API server; what is written here is data.
"""

from __future__ import annotations

import re
from typing import Any

from pipelines.cluster.object_names import shortened
from pipelines.cluster.ownership import DIGEST, LABEL_LENGTH, owned_labels
from pipelines.cluster.pod_parts import Json
from pipelines.cluster.predictor import Adapter, NotServable, Served, predictor
from pipelines.cluster.profile import ClusterProfile, HuggingFaceRuntime
from pipelines.experiment.revisions import own_serving_revision
from services.servicekit.chat_address import host_label
from services.servicekit.digest import digest_of

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
PLURAL = "inferenceservices"

COMPONENT = "serving"
CHECKPOINT = "teachwhy.dev/checkpoint"
SERVICE = "teachwhy.dev/service"

POD_LABEL = "serving.kserve.io/inferenceservice"
"""Label by which KServe marks the pods of an InferenceService with its name."""
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
_LOCAL_ONLY = {
    "Standard": "networking.kserve.io/visibility",
    "Knative": "networking.knative.dev/visibility",
}
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DIGEST_DIGITS = 10
_MOST_NAME = 46
"""Most characters of a name from which KServe makes others, as ``host_label`` has it."""


def check_name(checkpoint: str) -> None:
    """Check that a checkpoint of this name can be hosted.

    Raises:
        NotServable: it cannot.
    """
    if not _NAME.fullmatch(checkpoint):
        raise NotServable(
            f"checkpoint {checkpoint!r} cannot be an InferenceService: KServe wants 1 to 63 "
            "lower-case letters, digits and inner '-' that begin with a letter; rename the arm"
        )


def check_service(service: str) -> None:
    """Check that requests can be served under this name.

    Raises:
        NotServable: they cannot.
    """
    if not _NAME.fullmatch(service) or host_label(service) != service:
        raise NotServable(
            f"{service!r} cannot be the name of a service: KServe wants 1 to 46 lower-case "
            "letters, digits and inner '-' that begin with a letter"
        )


def service_name(checkpoint: str) -> str:
    """Name of the InferenceService that hosts a checkpoint while it is measured.

    It is what an endpoint of the rollout room makes of the model's name in its "{model}".

    Raises:
        NotServable: KServe takes no such name.
    """
    check_name(checkpoint)
    return host_label(checkpoint)


def variant_name(service: str, checkpoint: str) -> str:
    """Name of the InferenceService with which a checkpoint answers a service's requests.

    It differs from the one that the checkpoint is measured with, so that measuring it again, and
    removing what was measured, takes nothing away from the service.
    """
    digest = digest_of(service, checkpoint)[:_DIGEST_DIGITS]
    return shortened(service, digest, longest=_MOST_NAME)


def inference_service(
    checkpoint: str,
    digest: str,
    profile: ClusterProfile,
    *,
    adapter: Adapter | None = None,
) -> Json:
    """Write down the InferenceService that hosts a checkpoint while it is measured.

    Args:
        checkpoint: name of the checkpoint, under which it answers.
        digest: digest of its content.
        profile: the cluster.
        adapter: what else it needs, if it is an adapter.

    Raises:
        NotServable: KServe takes no such name, or the runtime serves no adapters.
    """
    served = Served(checkpoint=checkpoint, model=checkpoint, adapter=adapter)
    body = described(service_name(checkpoint), served, digest, profile)
    # What is measured may be anything, so nobody outside the cluster should reach it, unless that
    # is where the run is.
    return local_only(body, profile) if ".svc" in profile.serving.url else body


def local_only(body: Json, profile: ClusterProfile) -> Json:
    """Have KServe lead nobody to the service from outside the cluster."""
    metadata: Any = body["metadata"]
    metadata["labels"][_LOCAL_ONLY[profile.serving.mode]] = "cluster-local"
    return body


def described(
    name: str, served: Served, digest: str, profile: ClusterProfile, *, service: str = ""
) -> Json:
    """Write down an InferenceService.

    Args:
        name: its own name.
        served: what answers, and as whom.
        digest: digest of the checkpoint's content.
        profile: the cluster.
        service: the service whose requests it answers; empty for one that is measured.

    Raises:
        NotServable: the runtime cannot serve the checkpoint.
    """
    labels = {**owned_labels(profile, COMPONENT), CHECKPOINT: served.checkpoint}
    if service:
        labels[SERVICE] = service
    spec: Json = {"predictor": predictor(served, profile, labels)}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": profile.namespace,
            "labels": {**labels, DIGEST: digest_of(digest, spec)[:LABEL_LENGTH]},
            "annotations": {
                **profile.annotations,
                DEPLOYMENT_MODE: profile.serving.mode,
            },
        },
        "spec": spec,
    }


def serving_revision(profile: ClusterProfile) -> str:
    """Digest of what replies depend on beside the checkpoint: the runtime and its settings.

    Our own predictor gives the same replies wherever it runs, and so has one revision everywhere.
    """
    runtime = profile.serving.runtime
    if isinstance(runtime, HuggingFaceRuntime):
        return digest_of("serving", runtime.model_dump(mode="json"))
    arithmetic = runtime.settings.get("DTYPE", "")
    return digest_of("serving", arithmetic) if arithmetic else own_serving_revision()
