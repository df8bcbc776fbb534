"""Orders carried out as PyTorchJobs whose pods really train, over a real bucket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.job_launcher import PyTorchJobLauncher
from pipelines.cluster.job_watch import Timing
from pipelines.cluster.profile import ClusterProfile
from pipelines.experiment.launcher import TrainingProgress
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.cluster.fake_kubernetes.api_objects import CLAIMS, PODS
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster, fake_cluster
from tests.cluster.training_orders import training_profile
from tests.jobs.pods import copies, order, publish_rhymes
from tests.servicekit.s3_server import S3Server, started_s3_server

pytestmark = pytest.mark.slow

SECONDS = 200


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with started_s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def settings(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> StoreSettings:
    settings = s3.settings(bucket=s3.new_bucket())
    publish_rhymes(open_store(settings), tmp_path_factory.mktemp("shards"), 1800)
    return settings


@pytest.fixture
def store(settings: StoreSettings) -> ObjectStore:
    return open_store(settings)


@pytest.fixture
def cluster(tmp_path: Path, s3: S3Server) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path, is_local=True) as running:
        running.add_secret("bucket-keys", access_key=s3.access_key, secret_key=s3.secret_key)
        yield running


@asynccontextmanager
async def launcher(
    cluster: FakeCluster,
    profile: ClusterProfile,
    store: ObjectStore,
    say: Callable[[str], None] = print,
) -> AsyncIterator[PyTorchJobLauncher]:
    timing = Timing(poll=0.2)
    async with KubernetesApi(profile, kubeconfig=cluster.kubeconfig, poll_seconds=0.1) as api:
        yield PyTorchJobLauncher(api, profile, store, timing=timing, say=say)


def profile_over(settings: StoreSettings, **training: Any) -> ClusterProfile:
    profile = training_profile(**training)
    bucket = {"endpoint": settings.endpoint, "bucket": settings.bucket}
    return profile.model_copy(update={"store": profile.store.model_copy(update=bucket)})


async def test_a_pod_that_is_taken_away_goes_on_from_its_checkpoint(
    cluster: FakeCluster, settings: StoreSettings, store: ObjectStore
) -> None:
    wanted = order("taken-away", 6000)
    begun = asyncio.Event()
    reports: list[TrainingProgress] = []
    said: list[str] = []

    def report(progress: TrainingProgress) -> None:
        if not progress.state:
            reports.append(progress)
            begun.set()

    async with (
        asyncio.timeout(SECONDS),
        launcher(cluster, profile_over(settings), store, said.append) as trains,
    ):
        training = asyncio.create_task(trains.train(wanted, report))
        await begun.wait()
        cluster.registry.delete(PODS, NAMESPACE, "taken-away-master-0")
        await training

    assert "pod taken-away-master-0 was taken away" in said[0]
    assert "job.checkpoint_restored" in cluster.log_of("taken-away-master-0")
    assert copies(store, wanted) == []
    tokens = wanted.published(store).manifest().counts["tokens"]
    assert tokens > 5900
    assert 0 < reports[-1].tokens <= tokens


async def test_two_nodes_meet_and_share_a_volume(
    cluster: FakeCluster, settings: StoreSettings, store: ObjectStore
) -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"}}
    cluster.registry.create(CLAIMS, NAMESPACE, claim)
    profile = profile_over(settings, nodes=2, volume={"claim": "shared"})
    wanted = order("two-nodes", 600)

    async with asyncio.timeout(SECONDS), launcher(cluster, profile, store) as trains:
        await trains.train(wanted, lambda _: None)

    assert wanted.published(store).is_complete()
