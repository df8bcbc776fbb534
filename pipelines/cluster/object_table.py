"""Shows the objects that a run would make, as a table and as YAML. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from pipelines.cluster.objects import PlannedObject
from pipelines.cluster.profile import ClusterProfile


def print_objects(
    objects: Sequence[PlannedObject], profile: ClusterProfile, console: Console
) -> None:
    """Print what would be made, with its pods and their GPUs."""
    table = Table(title=f"what would be made in {profile.namespace}")
    for column in ("kind", "name", "what it is for"):
        table.add_column(column, overflow="fold")
    table.add_column("pods x GPUs", justify="right")
    for each in objects:
        table.add_row(each.kind, each.name, each.why, _pods(each, profile))
    console.print(table)
    console.print(f"{len(objects)} objects; --objects FILE writes them as YAML, - shows them")


def objects_yaml(objects: Sequence[PlannedObject]) -> str:
    """Write all objects as one stream of YAML documents, each under what it is for."""
    return "".join(
        f"---\n# {each.why}\n{yaml.safe_dump(each.body, sort_keys=False)}" for each in objects
    )


def _pods(planned: PlannedObject, profile: ClusterProfile) -> str:
    """How many pods there will be, and the GPUs of each; empty for what has none."""
    spec: Any = planned.body.get("spec", {})
    match planned.kind:
        case "PyTorchJob":
            replicas = spec["pytorchReplicaSpecs"].values()
            pods = sum(each["replicas"] for each in replicas)
            elastic = spec.get("elasticPolicy")
            span = f"{elastic['minReplicas']}-{elastic['maxReplicas']}" if elastic else str(pods)
            return f"{span} x {profile.training.placement.gpus}"
        case "InferenceService":
            least, most = profile.serving.min_replicas, profile.serving.max_replicas
            span = str(most) if least >= most else f"{least}-{most}"
            return f"{span} x {profile.serving.placement.gpus}"
        case "CronJob":
            gpus = profile.runner.placement.gpus if profile.runner else 0
            return f"1 x {gpus}"
        case _:
            return ""
