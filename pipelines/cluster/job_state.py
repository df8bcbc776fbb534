"""What a PyTorchJob and its pods say of themselves. Reads plain objects; knows no server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.cluster.object_events import ObjectEvent
from pipelines.cluster.serving_status import containers
from pipelines.cluster.training_job import ROLE_LABEL

Body = Mapping[str, Any]

_CANNOT_START = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
_TAKEN_AWAY = {"Evicted", "NodeNotReady", "Preempted", "Shutdown", "TaintManagerEviction"}
_ALIVE = ("Running", "Succeeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One end of a container, or of its pod."""

    pod: str
    uid: str
    run: int
    """Ends of the container before."""
    code: int | None
    """Exit status; None: the pod ended with it."""
    reason: str
    message: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        if self.code is None:
            why = ": ".join(part for part in (self.reason, self.message) if part)
            return f"pod {self.pod} was taken away{f' ({why})' if why else ''}"
        return f"pod {self.pod} ended with exit status {self.code} ({self.reason})"


def conditions(job: Body) -> dict[str, str]:
    """Message of every condition that is true, by its type."""
    found = (job.get("status") or {}).get("conditions") or ()
    return {
        str(each["type"]): str(each.get("message", ""))
        for each in found
        if each["status"] == "True"
    }


def is_finished(job: Body) -> bool:
    """Whether the job succeeded or failed."""
    return not {"Succeeded", "Failed"}.isdisjoint(conditions(job))


def num_alive(pods: Sequence[Body]) -> int:
    """Pods that run, or did so to their end."""
    return sum(1 for pod in pods if phase(pod) in _ALIVE and "deletionTimestamp" not in meta(pod))


def leaders(pods: Sequence[Body], *, is_elastic: bool) -> list[Body]:
    """Pods that may report progress: the master, or any, where they agree among themselves."""
    return [pod for pod in pods if is_elastic or meta(pod)["labels"].get(ROLE_LABEL) == "master"]


def endings(pods: Sequence[Body]) -> Iterator[Ending]:
    """Every end that the pods know of."""
    for pod in pods:
        status = pod.get("status") or {}
        name, uid = str(meta(pod)["name"]), str(meta(pod)["uid"])
        if taken := _taken_away(pod):
            yield Ending(pod=name, uid=uid, run=-1, code=None, reason=taken[0], message=taken[1])
            continue
        for each in status.get("containerStatuses") or ():
            run = int(each.get("restartCount", 0))
            # While it waits to be started again, the last run is the one that is counted.
            last = run if "waiting" in (each.get("state") or {}) else run - 1
            for key, number in (("lastState", last), ("state", run)):
                ended = (each.get(key) or {}).get("terminated")
                if ended:
                    code = int(ended.get("exitCode", 0))
                    reason = str(ended.get("reason") or "Error")
                    yield Ending(pod=name, uid=uid, run=number, code=code, reason=reason)


def vanished(pod: Body, events: Sequence[ObjectEvent]) -> Ending:
    """Say what the cluster noted about a pod that is gone; it may be nothing."""
    uid = str(meta(pod)["uid"])
    noted = [each for each in events if each.uid == uid and each.reason in _TAKEN_AWAY]
    last = noted[-1] if noted else None
    return Ending(
        pod=str(meta(pod)["name"]),
        uid=uid,
        run=-1,
        code=None,
        reason=last.reason if last else "",
        message=last.message if last else "",
    )


def why_not_starting(pods: Sequence[Body]) -> str:
    """Say which container cannot start, and why; empty if none."""
    for pod in pods:
        for each in containers(pod):
            waiting = (each.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _CANNOT_START:
                message = " ".join(str(waiting.get("message", "")).split())
                return f"pod {meta(pod)['name']}: {waiting['reason']}: {message}"
    return ""


def phase(pod: Body) -> str:
    """Phase of a pod; "Pending" before anybody looked at it."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def meta(body: Body) -> Body:
    """Metadata of an object."""
    metadata: Body = body["metadata"]
    return metadata


def _taken_away(pod: Body) -> tuple[str, str] | None:
    """Why the cluster took the pod away; None if it did not."""
    status = pod.get("status") or {}
    for each in status.get("conditions") or ():
        if each["type"] == "DisruptionTarget" and each["status"] == "True":
            reason = status.get("reason") or each.get("reason", "DisruptionTarget")
            return str(reason), str(status.get("message") or each.get("message", ""))
    if status.get("phase") == "Failed" and status.get("reason"):
        return str(status["reason"]), str(status.get("message", ""))
    return None
