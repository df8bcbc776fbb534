"""What becomes of a pod: a function of the running pod, and ready-made ones."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tests.cluster.fake_kubernetes.api_objects import Json


@dataclass(frozen=True, slots=True)
class Exit:
    """The container ends."""

    code: int = 0
    reason: str = ""
    """Empty: "Completed" or "Error"."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """The pod ends, whatever its restart policy says."""

    reason: str = "Evicted"
    message: str = "The node was low on resource: memory."


class PodGone(Exception):
    """Somebody deleted the pod while it ran."""


class RunningPod(Protocol):
    """What a course may do with its pod; everything that waits raises PodGone."""

    body: Json
    attempt: int
    """Runs of the container before this one."""

    @property
    def name(self) -> str: ...
    def start(self, *, is_ready: bool = True) -> None:
        """Schedule it, pull its image, start its container."""

    def become_ready(self) -> None:
        """Pass the readiness probe."""

    def say(self, *lines: str) -> None:
        """Write lines to the log."""

    def wait_for(self, event: threading.Event) -> None: ...
    def wait_until_deleted(self) -> None: ...
    def event(self, reason: str, message: str, *, kind: str = "Normal") -> None: ...
    def stay_pending(self, message: str) -> None:
        """Find no node, until it is deleted."""

    def stay_waiting(self, reason: str, message: str) -> None:
        """Have a node and no container, until it is deleted."""


Course: TypeAlias = Callable[[RunningPod], Exit | Evicted]


def completes(*lines: str, when: threading.Event | None = None) -> Course:
    """Runs, says the lines, and ends well, when it may."""
    return exits(0, *lines, when=when)


def exits(code: int, *lines: str, reason: str = "", when: threading.Event | None = None) -> Course:
    """Runs, says the lines, and ends with this exit code."""

    def course(pod: RunningPod) -> Exit:
        pod.start()
        pod.say(*lines)
        if when is not None:
            pod.wait_for(when)
        return Exit(code, reason)

    return course


def runs_out_of_memory(*lines: str) -> Course:
    """Is killed by the kernel."""
    return exits(137, *lines, reason="OOMKilled")


def is_evicted(
    *lines: str, reason: str = "Preempted", when: threading.Event | None = None
) -> Course:
    """Runs, says the lines, and loses its node."""

    def course(pod: RunningPod) -> Evicted:
        pod.start()
        pod.say(*lines)
        if when is not None:
            pod.wait_for(when)
        return Evicted(reason, "Preempted in order to admit critical pod")

    return course


def runs_on(*lines: str, is_ready: bool = True) -> Course:
    """Runs until it is deleted."""

    def course(pod: RunningPod) -> Exit:
        pod.start(is_ready=is_ready)
        pod.say(*lines)
        pod.wait_until_deleted()
        return Exit()

    return course


def is_never_scheduled(
    message: str = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: "
    "0/3 nodes are available: 3 No preemption victims found for incoming pod.",
) -> Course:
    """Finds no node."""

    def course(pod: RunningPod) -> Exit:
        pod.stay_pending(message)
        return Exit()

    return course


def image_cannot_be_pulled(message: str = "not found") -> Course:
    """Finds no image."""

    def course(pod: RunningPod) -> Exit:
        image = pod.body["spec"]["containers"][0]["image"]
        pod.event("Pulling", f'Pulling image "{image}"')
        why = f'failed to pull and unpack image "{image}": {message}'
        pod.event("Failed", f'Failed to pull image "{image}": {why}', kind="Warning")
        pod.event("Failed", "Error: ErrImagePull", kind="Warning")
        pod.event("BackOff", f'Back-off pulling image "{image}"')
        pod.stay_waiting("ImagePullBackOff", f'Back-off pulling image "{image}": {why}')
        return Exit()

    return course


def cannot_mount(message: str) -> Course:
    """Finds no volume."""

    def course(pod: RunningPod) -> Exit:
        pod.event("FailedMount", message, kind="Warning")
        pod.stay_waiting("ContainerCreating", "")
        return Exit()

    return course
