"""What a pod needs that carries out steps: settings and secrets of the command line, as data."""

from __future__ import annotations

from pydantic import JsonValue

from pipelines.cluster.profile import ClusterProfile, Runner

SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod's own
STORE_SECRET = "/run/secrets/teachwhy/store"  # noqa: S105 - where it is mounted


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
    store = profile.store
    settings = {
        "kind": "s3",
        "endpoint": store.endpoint,
        "bucket": store.bucket,
        "region": store.region,
        "secure": str(store.secure).lower(),
        "access_key_file": f"{STORE_SECRET}/access_key",
        "secret_key_file": f"{STORE_SECRET}/secret_key",
    }
    return {
        **{f"PIPELINES_STORE__{name.upper()}": value for name, value in settings.items()},
        "PIPELINES_RUNS_FOLDER": f"{SCRATCH}/runs",
        "HOME": SCRATCH,
        **runner_of(profile).environment,
    }


def runner_secrets(profile: ClusterProfile) -> dict[str, str]:
    """Secrets by the folder that each is mounted at."""
    return {STORE_SECRET: profile.store.credentials_secret, **runner_of(profile).secrets}
