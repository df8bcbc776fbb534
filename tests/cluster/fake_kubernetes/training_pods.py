"""The pods of a PyTorchJob as the training operator (v1.9) makes them."""

import copy
import re
from collections.abc import Iterator

from tests.cluster.fake_kubernetes.api_objects import ApiFault, Json

PORT_NAME = "pytorchjob-port"
PORT = 23456
CONTAINER = "pytorch"
_DNS_1035 = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def check_job(body: Json) -> None:
    """Refuse what the operator's webhook refuses."""
    faults = list(_faults(body))
    if faults:
        raise ApiFault(
            403,
            "Forbidden",
            'admission webhook "validator.pytorchjob.training-operator.kubeflow.org" denied the '
            f"request: {'; '.join(faults)}",
        )


def pod_of(job: Json, kind: str, index: int, meeting: tuple[str, int] | None) -> Json:
    """The pod of one replica.

    Args:
        job: the PyTorchJob.
        kind: "Master" or "Worker".
        index: number of the replica.
        meeting: where the pods meet, in place of the address of the job's first pod.
    """
    metadata, spec = job["metadata"], job["spec"]
    replicas = spec["pytorchReplicaSpecs"]
    template = copy.deepcopy(replicas[kind]["template"])
    name = f"{metadata['name']}-{kind.lower()}-{index}"
    assert len(name) <= 63, f"the service of a pod cannot be called {name}"
    labels = {
        **(template.get("metadata", {}).get("labels") or {}),
        "training.kubeflow.org/operator-name": "pytorchjob-controller",
        "training.kubeflow.org/job-name": metadata["name"],
        "training.kubeflow.org/replica-type": kind.lower(),
        "training.kubeflow.org/replica-index": str(index),
    }
    if kind == "Master" or ("Master" not in replicas and index == 0):
        labels["training.kubeflow.org/job-role"] = "master"
    policy = replicas[kind].get("restartPolicy", "OnFailure")
    template["spec"]["restartPolicy"] = "Never" if policy == "ExitCode" else policy
    for container in template["spec"]["containers"]:
        container["env"] = [
            *(container.get("env") or []),
            *(
                {"name": key, "value": value}
                for key, value in _variables(job, kind, index, meeting)
            ),
        ]
        ports = container.setdefault("ports", [])
        if container["name"] == CONTAINER and all(p.get("name") != PORT_NAME for p in ports):
            ports.append({"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": template.get("metadata", {}).get("annotations") or {},
            "ownerReferences": [
                {
                    "apiVersion": job["apiVersion"],
                    "kind": job["kind"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    }


def _variables(
    job: Json, kind: str, index: int, meeting: tuple[str, int] | None
) -> Iterator[tuple[str, str]]:
    spec, name = job["spec"], job["metadata"]["name"]
    replicas = spec["pytorchReplicaSpecs"]
    total = sum(each.get("replicas", 1) for each in replicas.values())
    processes = str(spec.get("nprocPerNode", "auto"))
    yield "PYTHONUNBUFFERED", "1"
    if "Master" in replicas:
        host, port = meeting or (f"{name}-master-0", PORT)
        yield from (("MASTER_PORT", str(port)), ("PET_MASTER_PORT", str(port)))
        yield from (("MASTER_ADDR", host), ("PET_MASTER_ADDR", host))
        yield "WORLD_SIZE", str(total * (int(processes) if processes.isdecimal() else 1))
        rank = str(index + (kind == "Worker"))
        yield from (("RANK", rank), ("PET_NODE_RANK", rank))
    yield "PET_NPROC_PER_NODE", processes
    elastic = spec.get("elasticPolicy")
    if elastic is None:
        yield "PET_NNODES", str(total)
        return
    host, port = meeting or (
        elastic.get("rdzvHost", f"{name}-worker-0"),
        elastic.get("rdzvPort", PORT),
    )
    yield "PET_RDZV_ENDPOINT", f"{host}:{port}"
    yield "PET_RDZV_BACKEND", elastic.get("rdzvBackend", "c10d")
    yield "PET_NNODES", f"{elastic['minReplicas']}:{elastic['maxReplicas']}"
    for key, variable in (("maxRestarts", "PET_MAX_RESTARTS"), ("rdzvId", "PET_RDZV_ID")):
        if key in elastic:
            yield variable, str(elastic[key])


def _faults(body: Json) -> Iterator[str]:
    name, spec = body["metadata"]["name"], body["spec"]
    if not _DNS_1035.fullmatch(name):
        yield f'metadata.name: Invalid value: "{name}": should match: a DNS-1035 label'
    replicas = spec.get("pytorchReplicaSpecs")
    if not replicas:
        yield "spec.pytorchReplicaSpecs: Required value: must be required"
        return
    for kind, replica in replicas.items():
        where = f"spec.pytorchReplicaSpecs[{kind}]"
        if kind not in ("Master", "Worker"):
            yield f'{where}: Unsupported value: "{kind}": supported values: "Master", "Worker"'
        containers = replica["template"]["spec"].get("containers") or []
        if all(each["name"] != CONTAINER for each in containers):
            yield f"{where}: must have at least one container with name {CONTAINER}"
        if kind == "Master" and replica.get("replicas") != 1:
            yield f"{where}.replicas: Forbidden: must be 1"
    if spec.get("elasticPolicy") is not None and "Worker" not in replicas:
        yield "spec.pytorchReplicaSpecs[Worker]: must be configured if elastic policy is used"
