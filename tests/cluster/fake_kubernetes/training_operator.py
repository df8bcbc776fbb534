"""The training operator of the fake: makes the pods of PyTorchJobs and reports their state.

It follows the source of training-operator v1.9: names, labels and variables of pods, conditions,
restarts, backoff limit, deadline, what is cleaned up afterwards, and when the job goes.
"""

import datetime as dt
from contextlib import suppress

from tests.cluster.fake_kubernetes.api_objects import PODS, PYTORCH_JOBS, ApiFault, Json, now
from tests.cluster.fake_kubernetes.controller import Controller
from tests.cluster.fake_kubernetes.pod_mounts import free_port
from tests.cluster.fake_kubernetes.registry import Registry, is_ending
from tests.cluster.fake_kubernetes.training_conditions import is_finished, is_in, set_condition
from tests.cluster.fake_kubernetes.training_pods import CONTAINER, check_job, pod_of

_UNKNOWN_EXIT = 0xBEEF
_RETRYABLE_EXIT = 128


class TrainingOperatorFake(Controller):
    """Reconciles every PyTorchJob."""

    def __init__(self, registry: Registry, *, is_local: bool = False) -> None:
        """With ``is_local`` the pods of a job meet on a port of loopback."""
        super().__init__(registry)
        registry.admission[PYTORCH_JOBS] = check_job
        self._is_local = is_local
        self._meetings: dict[str, tuple[str, int]] = {}

    def reconcile(self) -> None:
        for job in self.registry.select(PYTORCH_JOBS):
            if not is_ending(job):
                with suppress(ApiFault):  # the job, or a pod, changed meanwhile
                    self._reconcile(job)

    def _reconcile(self, job: Json) -> None:
        metadata = job["metadata"]
        status: Json = job.get("status") or {}
        before = repr(status)
        pods = self.registry.select(
            PODS, metadata["namespace"], f"training.kubeflow.org/job-name={metadata['name']}"
        )
        if not status:
            set_condition(status, "Created", f"PyTorchJob {metadata['name']} is created.")
        if is_finished(status):
            self._clean_up(job, status, pods)
        elif why := _exceeded(job, status, pods):
            status.setdefault("completionTime", now())
            self._delete(pods)
            self._conclude(
                job, status, "Failed", f"Job {metadata['name']} has failed because {why}"
            )
        else:
            self._sync(job, status, pods)
        if repr(status) != before:
            self.registry.change(
                PYTORCH_JOBS,
                metadata["namespace"],
                metadata["name"],
                lambda body: {**body, "status": status},
                status=True,
            )

    def _sync(self, job: Json, status: Json, pods: list[Json]) -> None:
        counts: dict[str, dict[str, int]] = {}
        for kind, replica in job["spec"]["pytorchReplicaSpecs"].items():
            counts[kind] = {"active": 0, "succeeded": 0, "failed": 0}
            for index in range(replica.get("replicas", 1)):
                pod = _pod(pods, kind, index)
                if pod is None:
                    self._create(job, kind, index)
                else:
                    self._sync_pod(job, status, replica, kind, pod)
                    _count(pod, counts[kind])
        status.setdefault("startTime", now())
        status["replicaStatuses"] = counts
        self._summarise(job, status, counts)

    def _sync_pod(self, job: Json, status: Json, replica: Json, kind: str, pod: Json) -> None:
        if pod.get("status", {}).get("phase") != "Failed" or is_ending(pod):
            return
        name, policy = job["metadata"]["name"], replica.get("restartPolicy", "OnFailure")
        code = _exit_code(pod)
        if code != _UNKNOWN_EXIT:
            self.event(
                job,
                "ExitedWithCode",
                f"Pod: {pod['metadata']['namespace']}.{pod['metadata']['name']} exited with code "
                f"{code}",
            )
        if policy in ("OnFailure", "Always") or (policy == "ExitCode" and code >= _RETRYABLE_EXIT):
            self._delete([pod])
            message = f"job {name} is restarting because {kind} replica(s) failed."
            self._conclude(job, status, "Restarting", message)
        elif policy == "ExitCode":
            message = f'job "{name}" is failing because "{kind}" replica(s) failed.'
            self._conclude(job, status, "Failed", message)

    def _summarise(self, job: Json, status: Json, counts: dict[str, dict[str, int]]) -> None:
        name = job["metadata"]["name"]
        replicas = job["spec"]["pytorchReplicaSpecs"]
        leader = "Master" if "Master" in replicas else "Worker"
        led = counts[leader]
        is_elastic = job["spec"].get("elasticPolicy") is not None
        if led["active"]:
            self._conclude(job, status, "Running", f"PyTorchJob {name} is running.")
        if led["succeeded"] == replicas[leader].get("replicas", 1) or (
            leader == "Worker" and is_elastic and led["succeeded"]
        ):
            status.setdefault("completionTime", now())
            message = f"PyTorchJob {name} is successfully completed."
            self._conclude(job, status, "Succeeded", message)
            return
        for kind, count in counts.items():
            is_never = replicas[kind].get("restartPolicy") == "Never"
            alive = count["succeeded"] + count["active"]
            if count["failed"] and replicas[kind].get("replicas", 1) > alive:
                word, state = ("failed", "Failed") if is_never else ("restarting", "Restarting")
                message = (
                    f"PyTorchJob {name} is {word} because {count['failed']} {kind} replica(s) "
                    "failed."
                )
                self._conclude(job, status, state, message)

    def _conclude(self, job: Json, status: Json, kind: str, message: str) -> None:
        if not is_in(status, kind):
            self.event(job, f"PyTorchJob{kind}", message)
        set_condition(status, kind, message)

    def _create(self, job: Json, kind: str, index: int) -> None:
        uid = job["metadata"]["uid"]
        if self._is_local and uid not in self._meetings:
            self._meetings[uid] = ("127.0.0.1", free_port())
        pod = pod_of(job, kind, index, self._meetings.get(uid))
        self.registry.create(PODS, job["metadata"]["namespace"], pod)
        self.event(job, "SuccessfulCreatePod", f"Created pod: {pod['metadata']['name']}")

    def _clean_up(self, job: Json, status: Json, pods: list[Json]) -> None:
        policy = job["spec"].get("runPolicy", {})
        clean = policy.get("cleanPodPolicy", "None")
        doomed = {"None": (), "Running": ("Running", "Pending", "")}.get(clean)
        self._delete(
            [
                pod
                for pod in pods
                if doomed is None or pod.get("status", {}).get("phase", "") in doomed
            ]
        )
        ttl = policy.get("ttlSecondsAfterFinished")
        if ttl is not None and _seconds_since(status.get("completionTime", now())) > ttl:
            self.registry.delete(
                PYTORCH_JOBS, job["metadata"]["namespace"], job["metadata"]["name"]
            )

    def _delete(self, pods: list[Json]) -> None:
        for pod in pods:
            if not is_ending(pod):
                metadata = pod["metadata"]
                self.registry.delete(
                    PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )


def _exceeded(job: Json, status: Json, pods: list[Json]) -> str:
    """Why the job has to end, or nothing."""
    policy = job["spec"].get("runPolicy", {})
    limit = policy.get("backoffLimit")
    restarts = sum(
        each["restartCount"]
        for pod in pods
        if pod.get("status", {}).get("phase") == "Running"
        for each in pod["status"]["containerStatuses"]
    )
    if limit is not None and restarts > 0 and restarts >= limit:
        return "it has reached the specified backoff limit"
    deadline = policy.get("activeDeadlineSeconds")
    if deadline is not None and _seconds_since(status.get("startTime", now())) >= deadline:
        return "it was active longer than specified deadline"
    return ""


def _pod(pods: list[Json], kind: str, index: int) -> Json | None:
    wanted = (kind.lower(), str(index))
    for pod in pods:
        labels = pod["metadata"]["labels"]
        has = (
            labels["training.kubeflow.org/replica-type"],
            labels["training.kubeflow.org/replica-index"],
        )
        if has == wanted:
            return pod
    return None


def _count(pod: Json, counts: dict[str, int]) -> None:
    phase = pod.get("status", {}).get("phase")
    key = {"Running": "active", "Succeeded": "succeeded", "Failed": "failed"}.get(phase or "")
    if key is not None:
        counts[key] += 1


def _exit_code(pod: Json) -> int:
    for each in pod["status"].get("containerStatuses", []):
        if each["name"] == CONTAINER and "terminated" in each["state"]:
            return int(each["state"]["terminated"]["exitCode"])
    return _UNKNOWN_EXIT


def _seconds_since(moment: str) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(moment)).total_seconds()
