"""Has schedules in a cluster, and takes them out again. Touches nothing that is not ours."""

from __future__ import annotations

from pipelines.cluster.api import KubernetesApi, ObjectRef
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.schedule import Schedule, schedule_name, schedule_objects


async def put_schedule(api: KubernetesApi, schedule: Schedule, profile: ClusterProfile) -> str:
    """Have the schedule as it is described; return its name in the cluster, for people.

    One that is the same already is left as it is, and so are Jobs that run.

    Raises:
        ScheduleNotUsable: the time or its zone is none.
        NoRunner: the profile says nothing of pods that carry out steps.
        ClusterFault: the cluster refuses or is away, or something else has the name.
    """
    config_map, cron_job = schedule_objects(schedule, profile)
    of_jobs, of_files = _refs(schedule.experiment)
    # Its files first: a Job that starts in between finds what it wants.
    await api.apply_owned(config_map, of_files)
    await api.apply_owned(cron_job, of_jobs)
    return api.named(of_jobs)


async def remove_schedule(api: KubernetesApi, experiment: str) -> list[str]:
    """Delete the schedule of an experiment and its Jobs; return what there was, for people.

    Raises:
        ClusterFault: the cluster refuses or is away, or something else has the name.
    """
    return [api.named(ref) for ref in _refs(experiment) if await api.delete_owned(ref)]


def _refs(experiment: str) -> tuple[ObjectRef, ObjectRef]:
    name = schedule_name(experiment)
    return (
        ObjectRef(api_version="batch/v1", kind="CronJob", plural="cronjobs", name=name),
        ObjectRef(api_version="v1", kind="ConfigMap", plural="configmaps", name=name),
    )
