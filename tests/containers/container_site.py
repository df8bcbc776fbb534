"""A cluster of containers: rooms, a bucket, and a fake API server whose pods are containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import open_store
from tests.cluster.fake_kubernetes.api_objects import SECRETS
from tests.cluster.fake_kubernetes.api_server import ApiServer
from tests.cluster.fake_kubernetes.cluster import NAMESPACE
from tests.cluster.fake_kubernetes.kserve_operator import KserveOperator
from tests.cluster.fake_kubernetes.kubeconfig import write_kubeconfig
from tests.cluster.fake_kubernetes.local_pods import LocalPods
from tests.cluster.fake_kubernetes.pod_logs import PodLogs
from tests.cluster.fake_kubernetes.registry import Registry
from tests.cluster.fake_kubernetes.training_operator import TrainingOperatorFake
from tests.containers.container_pods import ContainerPods
from tests.containers.engine import GATEWAY, Container, Engine
from tests.containers.room_containers import (
    KEYS,
    PORTS,
    RESTARTED,
    room_container,
    store_settings,
    write_keys,
)
from tests.servicekit.s3_server import S3Server
from tools.build_images import Image

EXPERIMENT = "/experiment"
RUNS = "/runs"
MODELS = "http://{model}-predictor:8080/openai/v1"
TOLD = {
    "rollout": {"ROLLOUT_ENDPOINTS": f'{{"default": {{"base_url": "{MODELS}"}}}}'},
    "dataset": {"DATASET_JUDGE": f"judge:{PORTS['judge']}"},
}
WITH_A_STORE = ("dataset", "scoreboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSite:
    """What a test has."""

    engine: Engine
    rooms: Mapping[str, Container]
    pods: ContainerPods
    store: ObjectStore
    registry: Registry
    runs: Path
    """What the runner sees as /runs and may write to."""
    _images: Mapping[str, Image]
    _environment: Mapping[str, str]
    _mounts: Mapping[str, Path]

    @contextmanager
    def runner(self, *arguments: str) -> Iterator[Container]:
        """The command line in a container of its own."""
        container = self.engine.start(
            "runner",
            self._images["runner"].name,
            *arguments,
            environment=self._environment,
            mounts=self._mounts,
            options=(f"--volume={self.runs}:{RUNS}",),
        )
        try:
            yield container
        finally:
            self.engine.remove(container)


@contextmanager
def container_site(
    engine: Engine, images: Mapping[str, Image], s3: S3Server, folder: Path
) -> Iterator[ContainerSite]:
    """All rooms over a new bucket, and a cluster to train and to host on.

    ``folder`` is what the runner sees as /experiment.
    """
    bucket, registry, logs = s3.new_bucket(), Registry(NAMESPACE, "default"), PodLogs()
    pods = ContainerPods(engine, folder / "pods", registry)
    keys = {KEYS: write_keys(folder / "keys", s3)}
    registry.create(SECRETS, NAMESPACE, _secret(s3))
    runs = folder / "runs"
    runs.mkdir()
    runs.chmod(0o777)
    with ExitStack() as stack:
        server = stack.enter_context(ApiServer(registry, logs, host=GATEWAY))
        stack.enter_context(LocalPods(registry, logs, pods.course))
        stack.enter_context(TrainingOperatorFake(registry))
        stack.enter_context(KserveOperator(registry))
        write_kubeconfig(folder / "kubeconfig.yaml", server.url, token=server.token)
        (folder / "cluster.yaml").write_text(yaml.safe_dump(_profile(images, s3, bucket)))
        rooms = {}
        for room in PORTS:
            told = dict(TOLD.get(room, {}))
            if room in WITH_A_STORE:
                told |= store_settings(s3, bucket, room.upper())
            started = room_container(
                engine, images[room], environment=told, mounts=keys, options=RESTARTED
            )
            rooms[room] = stack.enter_context(started)
        yield ContainerSite(
            engine=engine,
            rooms=rooms,
            pods=pods,
            store=open_store(s3.settings(bucket=bucket)),
            registry=registry,
            runs=runs,
            _images=images,
            _environment={
                **store_settings(s3, bucket, "PIPELINES"),
                "KUBECONFIG": f"{EXPERIMENT}/kubeconfig.yaml",
                "PIPELINES_CLUSTER_FILE": f"{EXPERIMENT}/cluster.yaml",
                "PIPELINES_RUNS_FOLDER": RUNS,
            },
            _mounts={EXPERIMENT: folder, **keys},
        )


def _secret(s3: S3Server) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket-keys"},
        "stringData": {"access_key": s3.access_key, "secret_key": s3.secret_key},
    }


def _profile(images: Mapping[str, Image], s3: S3Server, bucket: str) -> dict[str, object]:
    return {
        "namespace": NAMESPACE,
        "store": {
            "endpoint": f"store:{s3.endpoint.rpartition(':')[2]}",
            "bucket": bucket,
            "secure": False,
            "credentials_secret": "bucket-keys",
        },
        "rooms": {room: f"{room}:{port}" for room, port in PORTS.items()},
        "training": {
            "image": images["training"].name,
            "at_once": 2,
            "placement": {"cpu": "1", "memory": "3Gi"},
        },
        "serving": {
            "runtime": {"kind": "teachwhy", "image": images["serving"].name},
            "placement": {"cpu": "1", "memory": "3Gi"},
            "service_account": "bucket-reader",
            "url": MODELS,
        },
    }
