"""What an InferenceService and its pods say of themselves. Reads plain objects; knows no server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]

_CANNOT_START = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
_MANY_RESTARTS = 3


def is_ready(body: Body) -> bool:
    """Whether KServe says that the service answers.

    The generation that its status speaks of is that of the Deployment or Knative service below
    it, and not comparable with its own. Nothing here changes the pods of a service that is being
    waited for, so that there is no older state to be taken for the new one.
    """
    ready = (each for each in _conditions(body) if each.get("type") == "Ready")
    return any(each.get("status") == "True" for each in ready)


def complaints(body: Body) -> list[str]:
    """What KServe says is not as it should be, in its own words."""
    found = {
        (each.get("reason"), each.get("message")): f"{each.get('type')} is {each.get('status')}"
        for each in reversed(_conditions(body))
        if each.get("status") != "True"
    }
    lines = [": ".join(filter(None, (what, *why))) for why, what in reversed(found.items())]
    failure = _model_status(body).get("lastFailureInfo") or {}
    if failure:
        said = [failure.get("reason"), failure.get("message")]
        lines.append(": ".join(filter(None, ("the model", *said))))
    return lines


def is_invalid(body: Body) -> bool:
    """Whether KServe refuses what is asked for, a runtime that does not exist for example."""
    return bool(_model_status(body).get("transitionStatus") == "InvalidSpec")


def why_not_starting(pods: Sequence[Body]) -> str:
    """Say which container cannot start, and why; empty while all may still do so by themselves."""
    for pod in pods:
        for status in containers(pod):
            waiting = (status.get("state") or {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            restarts = status.get("restartCount", 0)
            if reason in _CANNOT_START or (restarts >= _MANY_RESTARTS and not status.get("ready")):
                return f"{_where(pod, status)} {_state(status)}"
    return ""


def pod_lines(pods: Sequence[Body]) -> list[str]:
    """Describe every pod in a line."""
    lines = []
    for pod in pods:
        status = pod.get("status") or {}
        said = [f"pod {pod['metadata']['name']} is {status.get('phase', 'new')}"]
        said += [
            f"not scheduled: {each.get('message', each.get('reason', ''))}"
            for each in status.get("conditions") or ()
            if each.get("type") == "PodScheduled" and each.get("status") == "False"
        ]
        said += [
            f"{each.get('name')} {_state(each)}"
            for each in containers(pod)
            if not each.get("ready") and _state(each)
        ]
        lines.append(", ".join(said))
    return lines


def failing_container(pods: Sequence[Body]) -> tuple[str, str] | None:
    """Name the pod and the container whose log tells most; None if none of them ever ran."""
    for pod in pods:
        for status in containers(pod):
            has_run = status.get("restartCount", 0) or (status.get("state") or {}).get("terminated")
            if has_run and not status.get("ready"):
                return pod["metadata"]["name"], status["name"]
    for pod in pods:
        for status in containers(pod):
            if "running" in (status.get("state") or {}):
                return pod["metadata"]["name"], status["name"]
    return None


def containers(pod: Body) -> Iterator[Body]:
    """State of every container of a pod, those that prepare it first."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _conditions(body: Body) -> Sequence[Body]:
    return (body.get("status") or {}).get("conditions") or ()


def _model_status(body: Body) -> Body:
    return (body.get("status") or {}).get("modelStatus") or {}


def _where(pod: Body, status: Body) -> str:
    return f"pod {pod['metadata']['name']}, container {status.get('name')}:"


def _state(status: Body) -> str:
    state = status.get("state") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    said = []
    for kind in ("waiting", "terminated"):
        if kind in state:
            each = state[kind] or {}
            said.append(" ".join(filter(None, (each.get("reason"), each.get("message")))))
    if status.get("restartCount"):
        ended = f" (last exit code {last['exitCode']})" if "exitCode" in last else ""
        said.append(f"restarted {status['restartCount']} times{ended}")
    return "; ".join(filter(None, said))
