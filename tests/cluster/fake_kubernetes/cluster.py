"""A whole fake cluster: API server, kubelets and the training operator.

with fake_cluster(tmp_path) as cluster:
    cluster.pods.play("*-master-0", completes("done"))
    api = KubernetesApi(profile, kubeconfig=cluster.kubeconfig)
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.fake_kubernetes.api_objects import PODS, SECRETS
from tests.cluster.fake_kubernetes.api_server import ApiServer
from tests.cluster.fake_kubernetes.courses import Course
from tests.cluster.fake_kubernetes.kubeconfig import write_kubeconfig
from tests.cluster.fake_kubernetes.local_pods import LocalPods
from tests.cluster.fake_kubernetes.pod_logs import PodLogs
from tests.cluster.fake_kubernetes.pod_process import LocalProcesses
from tests.cluster.fake_kubernetes.registry import Registry
from tests.cluster.fake_kubernetes.training_operator import TrainingOperatorFake

NAMESPACE = "teachwhy"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCluster:
    """What a test has of the cluster."""

    registry: Registry
    server: ApiServer
    pods: LocalPods
    logs: PodLogs
    operator: TrainingOperatorFake
    kubeconfig: Path
    processes: LocalProcesses

    def add_secret(self, name: str, **values: str) -> None:
        """Put a secret into the namespace."""
        self.registry.create(
            SECRETS,
            NAMESPACE,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "stringData": dict(values),
            },
        )

    def log_of(self, pod: str) -> str:
        """Everything that the pod of this name said; empty if it has not begun."""
        body = self.registry.find(PODS, NAMESPACE, pod)
        return "" if body is None else self.logs.text(body["metadata"]["uid"])


@contextmanager
def fake_cluster(
    folder: Path, *, course: Course | None = None, is_local: bool = False
) -> Iterator[FakeCluster]:
    """A running cluster with the namespace "teachwhy".

    Args:
        folder: where the kubeconfig and the pods' folders are.
        course: what becomes of pods without a script.
        is_local: let pods without a script really run their container as a process.
    """
    registry, logs = Registry(NAMESPACE, "default"), PodLogs()
    processes = LocalProcesses(folder / "pods", registry, {"OMP_NUM_THREADS": "1"})
    pods = LocalPods(registry, logs, processes.course if is_local else course)
    operator = TrainingOperatorFake(registry, is_local=is_local)
    server = ApiServer(registry, logs)
    with ExitStack() as stack:
        stack.enter_context(server)
        stack.enter_context(pods)
        stack.enter_context(operator)
        yield FakeCluster(
            registry=registry,
            server=server,
            pods=pods,
            logs=logs,
            operator=operator,
            kubeconfig=write_kubeconfig(folder / "kubeconfig.yaml", server.url, token=server.token),
            processes=processes,
        )
