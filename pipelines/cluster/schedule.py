"""Recurring evaluation: a CronJob that measures models anew, as data. Knows no API server.

Every Job it starts is an occasion of its own, under the Job's name: a pod that is started again
goes on where it was, and the next Job plays everything.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import JsonValue

from pipelines.cluster.object_names import shortened
from pipelines.cluster.ownership import DIGEST, LABEL_LENGTH, annotated, owned_labels
from pipelines.cluster.pod_parts import (
    Json,
    container_security,
    mounted,
    placed,
    pod_security,
    resources,
    variables,
)
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.runner_pod import SCRATCH, runner_environment, runner_of, runner_secrets
from pipelines.experiment.bundle import EXPERIMENT_FILE, Bundle
from pipelines.experiment.spec import Experiment
from services.servicekit.digest import digest_of

FOLDER = "/run/teachwhy"
"""Where the pod finds the experiment and the cluster profile."""

COMPONENT = "schedule"
CLUSTER_FILE = "cluster.yaml"
MOST_NAME = 52
"""Most characters of a CronJob's name: a Job's name adds eleven."""

RESTARTS = 5
LATE_SECONDS = 6 * 3600
"""How much later than planned a Job may still start."""

LONGEST_SECONDS = 20 * 3600
"""Longest time of a Job; the next one starts only when it is done."""

KEPT_SECONDS = 7 * 86_400
"""How long a finished Job is kept, for its logs."""

_DIGITS = 8
_FIELD = r"[0-9A-Za-z*/,\-]+"
_AT = re.compile(rf"{_FIELD}( {_FIELD}){{4}}|@(hourly|daily|midnight|weekly|monthly|yearly)")


class ScheduleNotUsable(Exception):
    """A schedule cannot be made. The message says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When, and what."""

    experiment: str
    """Name of the experiment."""
    bundle: Bundle
    cluster: str
    """Text of the cluster profile."""
    at: str
    """When, as cron writes it. Example: "0 2 * * *"."""
    time_zone: str = "Etc/UTC"

    def check(self) -> None:
        """Say what Kubernetes would refuse, and where.

        Raises:
            ScheduleNotUsable: the time or its zone is none.
        """
        if not _AT.fullmatch(self.at):
            raise ScheduleNotUsable(
                f"--at: {self.at!r} is no time: five fields as cron has them, for example "
                '"0 2 * * *" for every night at two, or @daily'
            )
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScheduleNotUsable(
                f"--time-zone: {self.time_zone!r} is no time zone, such as Europe/Berlin"
            ) from error


def check_recurring(experiment: Experiment, profile: ClusterProfile) -> None:
    """Say what would make every Job of a schedule fail, or do nothing.

    Raises:
        NoRunner: the profile says nothing of pods that carry out steps.
        ScheduleNotUsable: nothing is measured anew, or no endpoint says where.
    """
    environment = runner_of(profile).environment
    if not experiment.models and experiment.promotion is None:
        raise ScheduleNotUsable(
            "the file has neither models that somebody hosts nor a promotion; checkpoints do not "
            "change, so that there is nothing to measure anew"
        )
    if experiment.models and profile.rooms is None and "ROLLOUT_ENDPOINTS" not in environment:
        raise ScheduleNotUsable(
            "runner.environment: ROLLOUT_ENDPOINTS is missing in the cluster profile; rooms run "
            "beside the Job there, and need to know the endpoint "
            f"{experiment.models[0].endpoint!r} of the model {experiment.models[0].name!r}"
        )


def schedule_name(experiment: str) -> str:
    """Name of the CronJob of an experiment, and of its ConfigMap."""
    name = f"teachwhy-{experiment.lower().replace('_', '-').replace('.', '-')}"
    if len(name) > MOST_NAME:
        name = shortened(name, digest_of(experiment)[:_DIGITS], longest=MOST_NAME)
    return name


def schedule_objects(schedule: Schedule, profile: ClusterProfile) -> tuple[Json, Json]:
    """Write down the ConfigMap with the experiment and the CronJob that runs it.

    Raises:
        NoRunner: the profile says nothing of pods that carry out steps.
        ScheduleNotUsable: the time or its zone is none.
    """
    schedule.check()
    runner_of(profile)
    return _config_map(schedule, profile), _cron_job(schedule, profile)


def _config_map(schedule: Schedule, profile: ClusterProfile) -> Json:
    data: Json = {key: text for key, (_, text) in _carried(schedule).items()}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(schedule, profile, data),
        "data": data,
    }


def _cron_job(schedule: Schedule, profile: ClusterProfile) -> Json:
    labels: Json = {**owned_labels(profile, COMPONENT)}
    pod: Json = {
        "metadata": {"labels": dict(labels), **annotated(profile)},
        "spec": _pod(schedule, profile),
    }
    spec: Json = {
        "schedule": schedule.at,
        "timeZone": schedule.time_zone,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": LATE_SECONDS,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 5,
        "jobTemplate": {
            "metadata": {"labels": dict(labels)},
            "spec": {
                "backoffLimit": RESTARTS,
                "activeDeadlineSeconds": LONGEST_SECONDS,
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "template": pod,
            },
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(schedule, profile, spec),
        "spec": spec,
    }


def _pod(schedule: Schedule, profile: ClusterProfile) -> Json:
    runner = runner_of(profile)
    files: list[JsonValue] = [
        {"key": key, "path": path} for key, (path, _) in _carried(schedule).items()
    ]
    secrets, mounts = mounted(
        runner_secrets(profile), (f"secret-{number}" for number in itertools.count())
    )
    volumes: list[JsonValue] = [
        {"name": "scratch", "emptyDir": {}},
        {
            "name": "experiment",
            "configMap": {"name": schedule_name(schedule.experiment), "items": files},
        },
        *secrets,
    ]
    return {
        "restartPolicy": "Never",
        "serviceAccountName": runner.service_account,
        # It creates what a run creates.
        "automountServiceAccountToken": True,
        # Else a service of the namespace that is called "pipelines" would set PIPELINES_PORT.
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        **placed(runner.placement),
        "containers": [
            {
                "name": "run",
                "image": runner.image,
                "command": ["python", "-m", "pipelines", "run", f"{FOLDER}/{EXPERIMENT_FILE}"],
                "args": [
                    *("--on", "cluster", "--cluster", f"{FOLDER}/{CLUSTER_FILE}"),
                    *("--occasion", "$(JOB)"),
                ],
                "workingDir": SCRATCH,
                "env": _environment(profile),
                "resources": resources(runner.placement),
                "securityContext": container_security(),
                "volumeMounts": [
                    {"name": "scratch", "mountPath": SCRATCH},
                    {"name": "experiment", "mountPath": FOLDER, "readOnly": True},
                    *mounts,
                ],
            }
        ],
        "volumes": volumes,
    }


def _environment(profile: ClusterProfile) -> list[JsonValue]:
    path = "metadata.labels['batch.kubernetes.io/job-name']"
    job: Json = {"name": "JOB", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    return [job, *variables(runner_environment(profile))]


def _carried(schedule: Schedule) -> Mapping[str, tuple[str, str]]:
    """Path and text of every file in the pod, by a key that a ConfigMap takes."""
    files = {
        f"file-{number}": file for number, file in enumerate(sorted(schedule.bundle.files.items()))
    }
    return {
        EXPERIMENT_FILE: (EXPERIMENT_FILE, schedule.bundle.experiment),
        CLUSTER_FILE: (CLUSTER_FILE, schedule.cluster),
        **files,
    }


def _metadata(schedule: Schedule, profile: ClusterProfile, content: Json) -> Json:
    digest = digest_of(content, profile.labels, profile.annotations)
    return {
        "name": schedule_name(schedule.experiment),
        "namespace": profile.namespace,
        "labels": {**owned_labels(profile, COMPONENT), DIGEST: digest[:LABEL_LENGTH]},
        **annotated(profile),
    }
