"""What a pod needs that carries out steps: settings and secrets of the command line, as data."""

from __future__ import annotations

from pydantic import JsonValue

from pipelines.cluster.pod_parts import store_secrets, store_variables
from pipelines.cluster.profile import ClusterProfile, Runner

SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod's own


class NoRunner(Exception):
    """The profile says nothing of pods that carry out steps."""


def runner_of(profile: ClusterProfile) -> Runner:
    """Return what the profile says of such pods.

    Raises:
        NoRunner: it says nothing.
    """
    if profile.runner is None:
        raise NoRunner(
            "runner: is missing in the cluster profile; it names the image and the service account "
            "of pods that carry out steps"
        )
    return profile.runner


def carried_profile(profile: ClusterProfile) -> dict[str, JsonValue]:
    """Return the profile as such a pod reads it: with its own account, and no kubeconfig."""
    values: dict[str, JsonValue] = profile.model_dump(mode="json", exclude_unset=True)
    return {name: value for name, value in values.items() if name != "context"}


def runner_environment(profile: ClusterProfile) -> dict[str, str]:
    """Settings of the process: the profile's bucket, and what the profile adds or replaces."""
    return {
        **store_variables(profile.store, "PIPELINES_"),
        "PIPELINES_RUNS_FOLDER": f"{SCRATCH}/runs",
        "HOME": SCRATCH,
        **runner_of(profile).environment,
    }


def runner_secrets(profile: ClusterProfile) -> dict[str, str]:
    """Secrets by the folder that each is mounted at."""
    return {**store_secrets(profile.store), **runner_of(profile).secrets}
