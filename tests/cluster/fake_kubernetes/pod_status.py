"""The status of a pod as kubelets and the scheduler write it."""

from tests.cluster.fake_kubernetes.api_objects import Json, now
from tests.cluster.fake_kubernetes.courses import Evicted, Exit


def pending_status(message: str) -> Json:
    """No node was found."""
    return {
        "phase": "Pending",
        "conditions": [_condition("PodScheduled", "False", "Unschedulable", message)],
    }


def waiting_status(
    body: Json,
    attempt: int,
    last: Json | None,
    reason: str,
    message: str,
    *,
    phase: str = "Pending",
) -> Json:
    """It has a node, and its container does not run."""
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return _status(body, phase, attempt, last, state, is_ready=False)


def running_status(body: Json, attempt: int, last: Json | None, *, is_ready: bool) -> Json:
    """Its container runs."""
    state = {"running": {"startedAt": now()}}
    return _status(body, "Running", attempt, last, state, is_ready=is_ready)


def ended_status(body: Json, attempt: int, last: Json | None, end: Exit) -> Json:
    """Its container ended and is not started again."""
    phase = "Succeeded" if end.code == 0 else "Failed"
    return _status(body, phase, attempt, last, container_ended(end), is_ready=False)


def evicted_status(body: Json, attempt: int, last: Json | None, end: Evicted) -> Json:
    """It lost its node."""
    status = _status(body, "Failed", attempt, last, container_ended(Exit(137)), is_ready=False)
    status["conditions"].append(
        _condition("DisruptionTarget", "True", "TerminationByKubelet", end.message)
    )
    return {**status, "reason": end.reason, "message": end.message}


def container_ended(end: Exit) -> Json:
    """State of a container that ended."""
    reason = end.reason or ("Completed" if end.code == 0 else "Error")
    return {
        "terminated": {
            "exitCode": end.code,
            "reason": reason,
            "startedAt": now(),
            "finishedAt": now(),
        }
    }


def _status(
    body: Json, phase: str, attempt: int, last: Json | None, state: Json, *, is_ready: bool
) -> Json:
    ready = "True" if is_ready else "False"
    return {
        "phase": phase,
        "podIP": "127.0.0.1",
        "hostIP": "127.0.0.1",
        "startTime": now(),
        "conditions": [
            _condition("PodScheduled", "True"),
            _condition("Initialized", "True"),
            _condition("ContainersReady", ready),
            _condition("Ready", ready),
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": is_ready,
                "started": "running" in state,
                "restartCount": attempt,
                "state": state,
                "lastState": last or {},
            }
            for container in body["spec"]["containers"]
        ],
    }


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Json:
    condition: Json = {"type": kind, "status": status, "lastTransitionTime": now()}
    if reason:
        condition |= {"reason": reason, "message": message}
    return condition
