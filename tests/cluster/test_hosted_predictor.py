"""The own predictor as a pod: its container runs, and rooms reach it by the model's name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.kserve_host import KserveHost
from pipelines.cluster.traffic import KserveTraffic
from pipelines.outputs import Output
from services.servicekit.chat import ChatRequest, ModelRef, Sampling
from services.servicekit.chat_endpoints import ChatEndpoint, EndpointChatModel
from services.servicekit.conversation import Message, Role
from services.servicekit.errors import ModelUnavailable
from services.servicekit.storage.settings import open_store
from tests.cluster.fake_kubernetes.cluster import fake_cluster
from tests.cluster.fake_kubernetes.kserve_operator import KserveOperator
from tests.cluster.fake_kubernetes.model_gateway import ModelGateway
from tests.cluster.serving_cluster import SOON
from tests.cluster.serving_profiles import OWN, serving_profile
from tests.servicekit.s3_server import S3Server, started_s3_server
from tests.serving.tiny_checkpoints import write_folder

LONG = "difficult-advice-with-diverse-reasons-80k-s0-0123456789ab"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[S3Server, str]]:
    """A bucket behind credentials that holds a checkpoint with a long name."""
    folder = tmp_path_factory.mktemp("tiny")
    write_folder(folder)
    with started_s3_server() as server:
        name = server.new_bucket()
        store = open_store(server.settings(bucket=name))
        Output(store=store, prefix=f"checkpoints/{LONG}").publish(
            kind="training",
            digest="d" * 64,
            parameters={},
            inputs={},
            counts={},
            files={path.name: path.read_bytes() for path in folder.iterdir()},
        )
        yield server, name


async def test_a_checkpoint_is_reached_by_its_name_and_a_service_by_its_own(
    bucket: tuple[S3Server, str], tmp_path: Path
) -> None:
    server, name = bucket
    store = open_store(server.settings(bucket=name))
    with (
        fake_cluster(tmp_path, is_local=True) as cluster,
        KserveOperator(cluster.registry),
        ModelGateway(cluster) as gateway,
    ):
        cluster.add_secret(
            "bucket-keys", access_key=server.access_key, secret_key=server.secret_key
        )
        # Beyond loopback nothing of a test should listen.
        runtime = {**OWN, "settings": {"HOST": "127.0.0.1"}}
        profile = serving_profile(
            runtime,
            store={
                "endpoint": server.endpoint,
                "bucket": name,
                "secure": False,
                "credentials_secret": "bucket-keys",
            },
            url=gateway.template,
        )
        endpoint = ChatEndpoint(base_url=gateway.template, max_attempts=1)
        async with (
            KubernetesApi(profile, kubeconfig=cluster.kubeconfig) as api,
            EndpointChatModel({"default": endpoint}) as model,
        ):
            host = KserveHost(api, profile, store, waiting=SOON)
            traffic = KserveTraffic(api, profile, store, waiting=SOON)
            await host.load(LONG)
            by_name = await model.reply(asking(LONG))
            with pytest.raises(ModelUnavailable, match="no pod is ready"):
                await model.reply(asking("another"))

            await traffic.shift("agent", LONG, 100)
            await host.unload(LONG)
            by_service = await model.reply(asking("agent"))
            with pytest.raises(ModelUnavailable, match="no pod is ready"):
                await model.reply(asking(LONG))

    assert by_name.message == by_service.message
    assert by_name.usage.output_tokens > 0


def asking(model: str) -> ChatRequest:
    return ChatRequest(
        target=ModelRef(endpoint="default", model=model),
        messages=(Message(role=Role.USER, content="w1 w2 w3"),),
        sampling=Sampling(seed=1, max_output_tokens=8),
    )
