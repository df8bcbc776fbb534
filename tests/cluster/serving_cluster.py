"""A fake cluster with KServe, a store with checkpoints, and hosts over both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.inference_services import Waiting
from pipelines.cluster.kserve_host import KserveHost
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.traffic import KserveTraffic
from pipelines.jobs.order import TrainingOrder, write_order
from pipelines.outputs import Output
from services.servicekit.storage.directory import DirectoryStore
from tests.cluster.fake_kubernetes.api_objects import INFERENCE_SERVICES, PODS, Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster, fake_cluster
from tests.cluster.fake_kubernetes.courses import Course, Exit, RunningPod
from tests.cluster.fake_kubernetes.gateway_controller import GatewayController
from tests.cluster.fake_kubernetes.kserve_operator import KserveOperator
from tests.cluster.fake_kubernetes.registry import is_ending

SOON = Waiting(poll=0.02, stuck=0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCluster:
    """What a test of serving has."""

    fake: FakeCluster
    kserve: KserveOperator
    gateway: GatewayController
    store: DirectoryStore

    def publish(self, name: str, *, rank: int | None = None, start: str = "") -> None:
        """Put a checkpoint into the store, an adapter where it has a rank."""
        files = {"config.json": b"{}", "model.safetensors": name.encode()}
        if rank is not None:
            files = {"adapter_config.json": orjson.dumps({"r": rank, "rank_pattern": {}})}
        output = Output(store=self.store, prefix=f"checkpoints/{name}")
        output.publish(
            kind="training", digest=name, parameters={}, inputs={}, counts={}, files=files
        )
        if start:
            write_order(self.store, order(name, start))

    def api(self, profile: ClusterProfile) -> KubernetesApi:
        return KubernetesApi(profile, kubeconfig=self.fake.kubeconfig)

    def host(self, api: KubernetesApi, profile: ClusterProfile) -> KserveHost:
        return KserveHost(api, profile, self.store, waiting=SOON)

    def traffic(self, api: KubernetesApi, profile: ClusterProfile) -> KserveTraffic:
        return KserveTraffic(api, profile, self.store, waiting=SOON)

    def service(self, name: str) -> Json | None:
        return self.fake.registry.find(INFERENCE_SERVICES, NAMESPACE, name)

    def await_service(self, name: str) -> None:
        """Wait until somebody makes an InferenceService of this name."""
        registry = self.fake.registry
        version = registry.version
        while self.service(name) is None:
            version = registry.wait_beyond(version, 10)

    @property
    def services(self) -> set[str]:
        found = self.fake.registry.select(INFERENCE_SERVICES, NAMESPACE)
        return {each["metadata"]["name"] for each in found}

    def pods(self, selector: str = "") -> list[Json]:
        return self.fake.registry.select(PODS, NAMESPACE, selector)

    @property
    def checkpoints(self) -> list[str]:
        """Checkpoint of every pod, by its label."""
        labels = [each["metadata"]["labels"] for each in self.pods() if not is_ending(each)]
        return sorted(each["teachwhy.dev/checkpoint"] for each in labels)


def crashes(*lines: str) -> Course:
    """Says the lines and ends with a fault, before it ever answers."""

    def course(pod: RunningPod) -> Exit:
        pod.start(is_ready=False)
        pod.say(*lines)
        return Exit(1)

    return course


def order(name: str, start: str) -> TrainingOrder:
    return TrainingOrder(
        name=name,
        digest=name,
        program="",
        output=f"checkpoints/{name}",
        spec={"start": {"kind": "checkpoint", "path": "start"}},
        folders={"start": f"checkpoints/{start}"},
        parameters={},
        inputs={},
    )


@contextmanager
def serving_cluster(folder: Path, **options: Any) -> Iterator[ServingCluster]:
    """A running cluster; options are those of ``fake_cluster``."""
    with (
        fake_cluster(folder, **options) as fake,
        KserveOperator(fake.registry, runtimes=("kserve-huggingfaceserver",)) as kserve,
        GatewayController(fake.registry) as gateway,
    ):
        store = DirectoryStore(folder / "store")
        yield ServingCluster(fake=fake, kserve=kserve, gateway=gateway, store=store)
