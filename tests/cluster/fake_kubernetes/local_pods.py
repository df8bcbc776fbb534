"""The scheduler and the kubelets of the fake: every pod takes its course in a thread.

    with LocalPods(registry, logs) as pods:
        pods.play("*-master-0", is_evicted("step 1"), completes("step 2"))

A course is a function of the running pod (courses.py); ``real_process`` (pod_process.py) makes one
that runs the container's command on this machine.
"""

import fnmatch
import threading

from tests.cluster.fake_kubernetes.api_objects import PODS, ApiFault, Json
from tests.cluster.fake_kubernetes.controller import Controller
from tests.cluster.fake_kubernetes.courses import Course, Evicted, Exit, PodGone, runs_on
from tests.cluster.fake_kubernetes.pod_logs import ContainerLog, PodLogs
from tests.cluster.fake_kubernetes.pod_status import (
    container_ended,
    ended_status,
    evicted_status,
    pending_status,
    running_status,
    waiting_status,
)
from tests.cluster.fake_kubernetes.registry import Registry, graceful_pods, is_ending

_POLL_SECONDS = 0.02
_BACK_OFF_SECONDS = 0.3


class LocalPods(Controller):
    """Runs pods; what becomes of each is scripted by name."""

    def __init__(self, registry: Registry, logs: PodLogs, course: Course | None = None) -> None:
        """Let pods without a script take ``course``; by default they run until deleted."""
        super().__init__(registry)
        graceful_pods(registry)
        self.logs = logs
        self._course = course or runs_on()
        self._scripts: list[tuple[str, list[Course]]] = []
        self._lives: dict[str, _Life] = {}

    def play(self, name: str, *courses: Course) -> None:
        """Let containers of pods of this name (a glob) take these courses, one after another.

        Each run of a container takes the next, in whatever pod; the last one is taken again.
        The newest script of a name wins.
        """
        self._scripts.insert(0, (name, list(courses)))

    def next_course(self, name: str) -> Course:
        """What the next container of a pod of this name does."""
        for pattern, courses in self._scripts:
            if fnmatch.fnmatchcase(name, pattern):
                return courses.pop(0) if len(courses) > 1 else courses[0]
        return self._course

    def reconcile(self) -> None:
        pods = {body["metadata"]["uid"]: body for body in self.registry.select(PODS)}
        for uid, life in self._lives.items():
            if uid not in pods or is_ending(pods[uid]):
                life.is_deleted.set()
        for uid, body in pods.items():
            if uid not in self._lives:
                self._lives[uid] = _Life(self, body)

    def close(self) -> None:
        for life in self._lives.values():
            life.is_deleted.set()
        for life in self._lives.values():
            life.join()


class _Life:
    """One pod from its creation to its removal; what a course calls its running pod."""

    def __init__(self, pods: LocalPods, body: Json) -> None:
        self.body = body
        self.attempt = 0
        self.is_deleted = threading.Event()
        self._pods = pods
        self._log: ContainerLog | None = None
        self._last: Json | None = None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    def join(self) -> None:
        self._thread.join(30)

    # What a course asks for.

    def start(self, *, is_ready: bool = True) -> None:
        node = "node-1"
        self.event("Scheduled", f"Successfully assigned {self.name} to {node}")
        self._log = self._pods.logs.begin(self.body["metadata"]["uid"])
        self._set_status(running_status(self.body, self.attempt, self._last, is_ready=is_ready))
        self.event("Started", "Started container")

    def become_ready(self) -> None:
        self._set_status(running_status(self.body, self.attempt, self._last, is_ready=True))

    def say(self, *lines: str) -> None:
        assert self._log is not None, "only a started container says something"
        for line in lines:
            self._log.say(line)

    def wait_for(self, event: threading.Event) -> None:
        while not event.wait(_POLL_SECONDS):
            if self.is_deleted.is_set():
                raise PodGone

    def wait_until_deleted(self) -> None:
        self.is_deleted.wait()
        raise PodGone

    def event(self, reason: str, message: str, *, kind: str = "Normal") -> None:
        self._pods.event(self.body, reason, message, kind=kind)

    def stay_pending(self, message: str) -> None:
        self._set_status(pending_status(message))
        self.event("FailedScheduling", message, kind="Warning")
        self.wait_until_deleted()

    def stay_waiting(self, reason: str, message: str) -> None:
        self._set_status(waiting_status(self.body, self.attempt, self._last, reason, message))
        self.wait_until_deleted()

    # Its course.

    def _run(self) -> None:
        try:
            self._live()
            self.is_deleted.wait()
        except PodGone:
            pass
        finally:
            if self._log is not None:
                self._log.close()
            metadata = self.body["metadata"]
            self._pods.registry.remove(PODS, metadata["namespace"], self.name, metadata["uid"])

    def _live(self) -> None:
        policy = self.body["spec"].get("restartPolicy", "Always")
        while True:
            end = self._pods.next_course(self.name)(self)
            if self._log is not None:
                self._log.close()
            if isinstance(end, Evicted):
                self._set_status(evicted_status(self.body, self.attempt, self._last, end))
                self.event(end.reason, end.message, kind="Warning")
                return
            if not _is_restarted(policy, end):
                self._set_status(ended_status(self.body, self.attempt, self._last, end))
                return
            self._restart(end)

    def _restart(self, end: Exit) -> None:
        self._last = container_ended(end)
        self.event("BackOff", "Back-off restarting failed container", kind="Warning")
        self._set_status(
            waiting_status(
                self.body,
                self.attempt,
                self._last,
                "CrashLoopBackOff",
                "back-off restarting failed container",
                phase="Running",
            )
        )
        if self.is_deleted.wait(_BACK_OFF_SECONDS):
            raise PodGone
        self.attempt += 1

    def _set_status(self, status: Json) -> None:
        metadata = self.body["metadata"]
        try:
            self._pods.registry.change(
                PODS,
                metadata["namespace"],
                self.name,
                lambda body: {**body, "status": status},
                status=True,
            )
        except ApiFault:  # the pod is gone
            raise PodGone from None


def _is_restarted(policy: str, end: Exit) -> bool:
    return policy == "Always" or (policy == "OnFailure" and end.code != 0)
