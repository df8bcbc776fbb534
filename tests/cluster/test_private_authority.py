"""A bucket behind a private authority: pods know it from the profile's secret, and only from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.inference_service import inference_service
from pipelines.cluster.kserve_host import KserveHost
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.runner_pod import runner_environment, runner_secrets
from pipelines.cluster.schedule import schedule_objects
from pipelines.cluster.training_job import training_job
from pipelines.experiment.settings import PipelinesSettings
from pipelines.jobs.order import write_order
from services.servicekit.errors import StoreUnavailable
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import open_store
from tests.cluster.fake_kubernetes.api_objects import PYTORCH_JOBS
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster, fake_cluster
from tests.cluster.fake_kubernetes.kserve_operator import KserveOperator
from tests.cluster.object_checks import faults_of, pod_templates
from tests.cluster.planned_runs import cluster as shipped
from tests.cluster.planned_runs import nightly
from tests.cluster.serving_cluster import SOON
from tests.cluster.serving_profiles import OWN, STOCK, serving_profile
from tests.cluster.training_orders import order, publish_checkpoint
from tests.cluster.trainings import LEADER, until
from tests.servicekit.s3_server import S3Server, started_s3_server
from tests.serving.tiny_checkpoints import write_folder

WANTED = order()
SECRET = "bucket-authority"
CA_FILE = "/run/secrets/teachwhy/store-ca/ca.crt"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with started_s3_server(tmp_path_factory.mktemp("certificates")) as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
def store(s3: S3Server, bucket: str) -> ObjectStore:
    return open_store(s3.settings(bucket=bucket))


@pytest.fixture
def cluster(tmp_path: Path, s3: S3Server) -> Iterator[FakeCluster]:
    assert s3.ca_file is not None
    with fake_cluster(tmp_path, is_local=True) as running:
        running.add_secret("bucket-keys", access_key=s3.access_key, secret_key=s3.secret_key)
        running.add_secret(SECRET, **{"ca.crt": s3.ca_file.read_text(encoding="utf-8")})
        yield running


def profile_over(s3: S3Server, bucket: str, *, ca_secret: str | None = SECRET) -> ClusterProfile:
    # Beyond loopback nothing of a test should listen.
    runtime = {**OWN, "settings": {"HOST": "127.0.0.1"}}
    return serving_profile(
        runtime,
        store={
            "endpoint": s3.endpoint,
            "bucket": bucket,
            "credentials_secret": "bucket-keys",
            "ca_secret": ca_secret,
        },
        ready_seconds=60,
    )


def test_the_server_is_one_that_only_its_authority_vouches_for(s3: S3Server, bucket: str) -> None:
    settings = s3.settings(bucket=bucket, ca_file=None, secure=True, max_attempts=1)

    with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
        open_store(settings).exists("anything")


@pytest.fixture
def published(store: ObjectStore) -> ObjectStore:
    """An order whose job has nothing to do but to see that."""
    write_order(store, WANTED)
    publish_checkpoint(store, WANTED)
    return store


@pytest.mark.usefixtures("published")
async def test_a_training_reads_the_bucket_with_the_authority_of_the_profile(
    cluster: FakeCluster, s3: S3Server, bucket: str
) -> None:
    job = training_job(WANTED, profile_over(s3, bucket))
    cluster.registry.create(PYTORCH_JOBS, NAMESPACE, job)

    await until(lambda: "job.already_published" in cluster.log_of(LEADER))


@pytest.mark.usefixtures("published")
async def test_a_training_without_the_authority_is_refused_by_its_own_check(
    cluster: FakeCluster, s3: S3Server, bucket: str
) -> None:
    job = training_job(WANTED, profile_over(s3, bucket, ca_secret=None))
    cluster.registry.create(PYTORCH_JOBS, NAMESPACE, job)

    await until(lambda: "certificate verify failed" in cluster.log_of(LEADER))


@pytest.mark.slow
async def test_our_predictor_copies_a_checkpoint_with_the_authority_of_the_profile(
    cluster: FakeCluster, s3: S3Server, bucket: str, store: ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    write_folder(folder)
    WANTED.published(store).publish(
        kind="checkpoint",
        digest=WANTED.digest,
        parameters={},
        inputs={},
        counts={},
        files={path.name: path.read_bytes() for path in folder.iterdir()},
    )
    profile = profile_over(s3, bucket)

    with KserveOperator(cluster.registry):
        async with KubernetesApi(profile, kubeconfig=cluster.kubeconfig) as api:
            await KserveHost(api, profile, store, waiting=SOON).load(WANTED.name)


def test_a_runner_opens_the_bucket_with_the_authority_of_the_profile(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = {"endpoint": s3.endpoint, "bucket": bucket, "secure": True, "ca_secret": SECRET}
    profile = shipped(store=private)
    assert s3.ca_file is not None
    contents = {
        profile.store.credentials_secret: {
            "access_key": s3.access_key,
            "secret_key": s3.secret_key,
        },
        SECRET: {"ca.crt": s3.ca_file.read_text(encoding="utf-8")},
    }
    folders = {}
    for number, (folder, secret) in enumerate(runner_secrets(profile).items()):
        folders[folder] = tmp_path / str(number)
        folders[folder].mkdir()
        for name, text in contents.get(secret, {}).items():
            (folders[folder] / name).write_text(text, encoding="utf-8")
    for name, value in runner_environment(profile).items():
        folder, _, file = value.rpartition("/")
        monkeypatch.setenv(name, str(folders[folder] / file) if folder in folders else value)

    settings = PipelinesSettings().store

    assert settings is not None
    assert not open_store(settings).exists("anything")


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_every_pod_of_ours_has_the_authority_and_the_cluster_takes_it(mode: str) -> None:
    private = {"secure": True, "ca_secret": SECRET}
    profile = shipped("cluster-cpu", store=private, serving={"mode": mode})
    made = [
        training_job(WANTED, profile),
        hosted(profile),
        schedule_objects(nightly("microworld", "cluster-cpu"), profile)[1],
    ]

    for body in made:
        assert faults_of(body) == []
        for where, _, pod in pod_templates(body):
            assert authorities_of(pod) == {CA_FILE: SECRET}, f"{body['kind']} {where}"


def test_a_profile_without_an_authority_mounts_none() -> None:
    for body in (training_job(WANTED, shipped("cluster-cpu")), hosted(shipped("cluster-cpu"))):
        for _, _, pod in pod_templates(body):
            assert authorities_of(pod) == {}
            assert "store-ca" not in str(pod)


def test_the_stock_runtime_is_left_to_kserve_whose_secret_names_the_authority() -> None:
    stored = {"endpoint": "s3.example", "bucket": "teachwhy", "credentials_secret": "bucket-keys"}

    plain = hosted(serving_profile(STOCK, store=stored))
    private = hosted(serving_profile(STOCK, store={**stored, "ca_secret": SECRET}))

    assert private == plain


def hosted(profile: ClusterProfile) -> Any:
    return inference_service("why-s0", "5ca1e", profile)


def authorities_of(pod: Any) -> dict[str, str | None]:
    """Files that containers take authorities of the store from, and the secrets they are of."""
    secrets = {
        each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each
    }
    (container,) = pod["containers"]
    folders = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    files = [each["value"] for each in container["env"] if each["name"].endswith("_STORE__CA_FILE")]
    return {file: secrets.get(folders.get(file.rpartition("/")[0], "")) for file in files}
