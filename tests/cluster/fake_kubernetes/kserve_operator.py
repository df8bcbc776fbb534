"""KServe's controller of the fake: pods for InferenceServices, and the status that comes of them.

What becomes of the pods is LocalPods' to play; this one makes a pod for each service, or for each
revision in Knative's mode, and writes down what KServe would of it. The traffic of revisions
follows KServe's and Knative's own rules.
"""

import copy
import json
from dataclasses import dataclass, field

from tests.cluster.fake_kubernetes.api_objects import (
    INFERENCE_SERVICES,
    PODS,
    SERVICES,
    ApiFault,
    Json,
)
from tests.cluster.fake_kubernetes.controller import Controller
from tests.cluster.fake_kubernetes.kserve_admission import check_inference_service
from tests.cluster.fake_kubernetes.registry import Registry, is_ending

POD_LABEL = "serving.kserve.io/inferenceservice"
REVISION_LABEL = "serving.knative.dev/revision"
_STOCK_IMAGE = "kserve/huggingfaceserver:v0.21.0-gpu"


@dataclass(slots=True)
class _Revisions:
    """What Knative knows of one service."""

    templates: list[str] = field(default_factory=list)
    ready: str = ""
    rolled_out: str = ""
    rolled_out_before: str = ""


class KserveOperator(Controller):
    """Reconciles the InferenceServices of a registry."""

    def __init__(self, registry: Registry, *, runtimes: tuple[str, ...] = ()) -> None:
        """Know these runtimes; without any, every name is one."""
        super().__init__(registry)
        registry.admission[INFERENCE_SERVICES] = check_inference_service
        self._runtimes = runtimes
        self._revisions: dict[str, _Revisions] = {}

    def reconcile(self) -> None:
        for body in self.registry.select(INFERENCE_SERVICES):
            if is_ending(body):
                continue
            try:
                self._reconcile(body)
            except ApiFault as fault:
                if fault.status not in (404, 409):  # it is gone, or has changed meanwhile
                    raise

    def _reconcile(self, body: Json) -> None:
        runtime = body["spec"]["predictor"].get("model", {}).get("runtime", "")
        if self._runtimes and runtime and runtime not in self._runtimes:
            self._set_status(body, _no_runtime(runtime))
            return
        mode = body["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        self._ensure_service(body)
        status = self._knative(body) if mode == "Knative" else self._standard(body)
        self._set_status(body, {**status, "deploymentMode": mode})

    # Standard mode: one set of pods.

    def _standard(self, body: Json) -> Json:
        name = body["metadata"]["name"]
        pods = self._pods(body)
        if not pods:
            self._create_pod(body, f"{name}-predictor-", {})
            pods = self._pods(body)
        is_ready = any(map(is_ready_pod, pods))
        reason = "" if is_ready else "MinimumReplicasUnavailable"
        message = "" if is_ready else "Deployment does not have minimum availability."
        model = _loaded(pods, is_ready=is_ready)
        return _status("PredictorReady", reason, message, model, is_ready=is_ready)

    # Knative's mode: one set of pods for each revision.

    def _knative(self, body: Json) -> Json:
        name, uid = body["metadata"]["name"], body["metadata"]["uid"]
        known = self._revisions.setdefault(uid, _Revisions())
        predictor = body["spec"]["predictor"]
        percent = predictor.get("canaryTrafficPercent")
        template = json.dumps({**predictor, "canaryTrafficPercent": None}, sort_keys=True)
        if not known.templates or known.templates[-1] != template:
            known.templates.append(template)
        created = f"{name}-predictor-{len(known.templates):05d}"
        if not self._pods(body, created):
            self._create_pod(body, f"{created}-deployment-", {REVISION_LABEL: created})
        pods = self._pods(body, created)
        if any(map(is_ready_pod, pods)):
            known.ready = created
        traffic = _traffic(known, percent)
        _roll_out(known, created, traffic)
        self._retire(body, {created, *(each["revisionName"] for each in traffic)})
        is_latest = known.ready == created
        status = _status(
            "PredictorConfigurationReady",
            "" if is_latest else "RevisionFailed",
            "" if is_latest else f'Revision "{created}" is not ready.',
            _loaded(pods, is_ready=is_latest),
            is_ready=is_latest,
        )
        status["components"] = {
            "predictor": {
                "latestCreatedRevision": created,
                "latestReadyRevision": known.ready,
                "latestRolledoutRevision": known.rolled_out,
                "previousRolledoutRevision": known.rolled_out_before,
                "traffic": traffic,
            }
        }
        return status

    def _retire(self, body: Json, kept: set[str]) -> None:
        for pod in self._pods(body):
            if pod["metadata"]["labels"][REVISION_LABEL] not in kept:
                self.registry.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])

    # What both have.

    def _pods(self, body: Json, revision: str = "") -> list[Json]:
        selector = f"{POD_LABEL}={body['metadata']['name']}"
        if revision:
            selector += f",{REVISION_LABEL}={revision}"
        pods = self.registry.select(PODS, body["metadata"]["namespace"], labels=selector)
        uid = body["metadata"]["uid"]
        return [
            pod
            for pod in pods
            if not is_ending(pod) and pod["metadata"]["ownerReferences"][0]["uid"] == uid
        ]

    def _create_pod(self, body: Json, prefix: str, labels: dict[str, str]) -> None:
        metadata = body["metadata"]
        predictor = copy.deepcopy(body["spec"]["predictor"])
        containers = predictor.get("containers") or [
            {"image": _STOCK_IMAGE, **predictor["model"], "name": "kserve-container"}
        ]
        self.registry.create(
            PODS,
            metadata["namespace"],
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": prefix,
                    "labels": {
                        **predictor.get("labels", {}),
                        POD_LABEL: metadata["name"],
                        **labels,
                    },
                    "ownerReferences": [_owner(body)],
                },
                "spec": {
                    "containers": containers,
                    "volumes": predictor.get("volumes", []),
                    "restartPolicy": "Always",
                },
            },
        )

    def _ensure_service(self, body: Json) -> None:
        metadata = body["metadata"]
        name = f"{metadata['name']}-predictor"
        if self.registry.find(SERVICES, metadata["namespace"], name) is None:
            self.registry.create(
                SERVICES,
                metadata["namespace"],
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name, "ownerReferences": [_owner(body)]},
                    "spec": {
                        "selector": {POD_LABEL: metadata["name"]},
                        "ports": [{"port": 80, "targetPort": 8080}],
                    },
                },
            )

    def _set_status(self, body: Json, status: Json) -> None:
        metadata = body["metadata"]
        self.registry.change(
            INFERENCE_SERVICES,
            metadata["namespace"],
            metadata["name"],
            lambda now: {**now, "status": status},
            status=True,
        )


def _traffic(known: _Revisions, percent: int | None) -> list[Json]:
    if not known.ready:
        return []
    latest = {"revisionName": known.ready, "latestRevision": True, "percent": 100}
    if percent is None or not known.rolled_out:
        return [latest]
    latest["percent"] = percent
    rest: Json = {"revisionName": known.rolled_out, "latestRevision": False, "tag": "prev"}
    return [latest, {**rest, "percent": 100 - percent}] if percent < 100 else [latest]


def _roll_out(known: _Revisions, created: str, traffic: list[Json]) -> None:
    """Follow which revision had everything last, as KServe does."""
    for each in traffic:
        if not each["latestRevision"]:
            continue
        if known.rolled_out != known.ready:
            if each["percent"] == 100:
                known.rolled_out_before, known.rolled_out = known.rolled_out, known.ready
        elif known.ready == created and each["percent"] < 100:
            share = sum(t["percent"] for t in traffic if t["revisionName"] == known.ready)
            if share == 100 and known.rolled_out_before:
                known.rolled_out = known.rolled_out_before


def _status(part: str, reason: str, message: str, model: Json, *, is_ready: bool) -> Json:
    state = "True" if is_ready else "False"
    why = {"reason": reason, "message": message} if reason else {}
    return {
        # KServe shows the generation of what lies below, which says nothing about this object's.
        "observedGeneration": 1,
        "conditions": [
            {"type": part, "status": state, **why},
            {"type": "Ready", "status": state, **why},
        ],
        "modelStatus": model,
    }


def _loaded(pods: list[Json], *, is_ready: bool) -> Json:
    if is_ready:
        return {"transitionStatus": "UpToDate", "states": {"targetModelState": "Loaded"}}
    for pod in pods:
        for each in pod.get("status", {}).get("containerStatuses", ()):
            last = each["lastState"].get("terminated")
            if each["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" and last:
                return {
                    "transitionStatus": "BlockedByFailedLoad",
                    "states": {"targetModelState": "FailedToLoad"},
                    "lastFailureInfo": {
                        "reason": "ModelLoadFailed",
                        "exitCode": last["exitCode"],
                        "message": "",
                    },
                }
    return {"transitionStatus": "InProgress", "states": {"targetModelState": "Pending"}}


def _no_runtime(runtime: str) -> Json:
    return {
        "conditions": [{"type": "Ready", "status": "Unknown"}],
        "modelStatus": {
            "transitionStatus": "InvalidSpec",
            "states": {"targetModelState": "FailedToLoad"},
            "lastFailureInfo": {
                "reason": "RuntimeNotRecognized",
                "message": f"Specified runtime not found: {runtime}",
            },
        },
    }


def is_ready_pod(pod: Json) -> bool:
    """Whether every container of the pod is ready."""
    containers = pod.get("status", {}).get("containerStatuses", ())
    return bool(containers) and all(each["ready"] for each in containers)


def _owner(body: Json) -> Json:
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": body["metadata"]["name"],
        "uid": body["metadata"]["uid"],
        "controller": True,
    }
