"""What several test modules of the cluster share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kubernetes import client as kubernetes
from kubernetes import config

from pipelines.cluster.api import KubernetesApi
from tests.cluster.fake_kubernetes.cluster import FakeCluster, fake_cluster
from tests.cluster.training_orders import training_profile


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    """A running cluster; what becomes of its pods is played by the test."""
    with fake_cluster(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def api(cluster: FakeCluster) -> AsyncIterator[KubernetesApi]:
    """Its API, connected."""
    profile = training_profile()
    async with KubernetesApi(profile, kubeconfig=cluster.kubeconfig, poll_seconds=0.05) as opened:
        yield opened


@pytest.fixture
def client(cluster: FakeCluster) -> Any:
    """Kubernetes' own client of it."""
    return config.new_client_from_config(str(cluster.kubeconfig))


@pytest.fixture
def core(client: Any) -> Any:
    return kubernetes.CoreV1Api(client)


@pytest.fixture
def custom(client: Any) -> Any:
    return kubernetes.CustomObjectsApi(client)
