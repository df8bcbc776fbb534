"""TLS, client certificates and tokens between containers that find each other by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.containers.chart_secrets import (
    AUTH,
    TLS,
    Secrets,
    caller_settings,
    host_of,
    room_settings,
    write_secrets,
)
from tests.containers.engine import GATEWAY, NETWORK, USER, Container, Engine
from tests.containers.room_containers import METRICS_PORTS, PORTS, room_container, status_of
from tests.contract.tree import GRPC_ROOMS
from tests.model_server.server import ModelServer
from tools.build_images import Image

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

CHANNEL = "PIPELINES_ROOMS_CHANNEL__"
SECOND_HOST = "teachwhy-dataset"
"""Another name of the certificate, for a dataset room that is set up badly."""

ASK = """
import asyncio, json, sys
import grpc
from teachwhy.dataset.v1 import dataset_service_pb2 as dataset
from teachwhy.judge.v1 import judge_service_pb2 as judge
from teachwhy.rollout.v1 import rollout_service_pb2 as rollout
from teachwhy.scoreboard.v1 import scoreboard_service_pb2 as scoreboard
from pipelines.experiment.rooms import RoomAddresses, Rooms
from pipelines.experiment.settings import PipelinesSettings

async def outcome(call):
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]

async def main():
    channel = PipelinesSettings().rooms_channel
    async with Rooms(RoomAddresses(**json.loads(sys.argv[1]), channel=channel)) as rooms:
        calls = {
            "dataset": rooms.dataset.ListRecipes(dataset.ListRecipesRequest(), timeout=30),
            "judge": rooms.judge.ListRubrics(judge.ListRubricsRequest(), timeout=30),
            "rollout": rooms.rollout.ListSuites(rollout.ListSuitesRequest(), timeout=30),
            "scoreboard": rooms.scoreboard.ListEvaluations(
                scoreboard.ListEvaluationsRequest(), timeout=30
            ),
        }
        print(json.dumps({room: await outcome(call) for room, call in calls.items()}))

asyncio.run(main())
"""
"""Calls every room once, as a run does; prints code and message by room."""

AUDIT = """
import asyncio, json, sys
import grpc
from google.protobuf import json_format
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import audit_pb2, dataset_service_pb2_grpc, example_pb2
from pipelines.experiment.settings import PipelinesSettings
from services.servicekit.channel import open_channel

async def main():
    target = model_pb2.ModelRef(endpoint="default", model="grader")
    settings = audit_pb2.AuditSettings(quality=audit_pb2.QualityGate(judge_model=target))
    examples = audit_pb2.ExampleBatch(examples=[
        example_pb2.Example(index=index, id=f"{index:032x}", document=text, num_tokens=9)
        for index, text in enumerate(["The crane stays. It asks first.", "The photos stay here."])
    ])
    requests = [
        audit_pb2.AuditDatasetRequest(settings=settings),
        audit_pb2.AuditDatasetRequest(examples=examples),
    ]
    async with open_channel(sys.argv[1], PipelinesSettings().rooms_channel) as channel:
        stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
        try:
            report = await stub.AuditDataset(iter(requests), timeout=60)
        except grpc.aio.AioRpcError as error:
            print(json.dumps({"code": error.code().name, "message": error.details()}))
        else:
            print(json_format.MessageToJson(report, indent=None))

asyncio.run(main())
"""
"""Has a dataset room audit two texts, for which it asks its judge; prints the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All rooms with TLS, client certificates and a token, as the chart sets them up."""

    engine: Engine
    images: Mapping[str, Image]
    rooms: Mapping[str, Container]
    secrets: Secrets
    strange: Secrets
    """Of another cluster, with another authority and another token."""
    models: ModelServer

    def run(self, program: str, argument: str, **changes: str | None) -> Any:
        """Run a program in a container of the network, told what runs are told but for changes."""
        told = {
            name.removeprefix(CHANNEL).lower(): each for name, each in caller_settings().items()
        }
        told = {name: each for name, each in (told | changes).items() if each is not None}
        mounts = {
            **self.secrets.mounts,
            **{f"/strange{path}": here for path, here in self.strange.mounts.items()},
        }
        said = self.engine.docker(
            *("run", "--rm", f"--network={NETWORK}", f"--user={USER}:{USER}"),
            *("--read-only", "--tmpfs=/tmp", "--entrypoint=python"),
            *(f"--volume={here}:{path}:ro" for path, here in mounts.items()),
            *(f"--env={CHANNEL}{name.upper()}={each}" for name, each in told.items()),
            *(self.images["runner"].name, "-c", program, argument),
        )
        return json.loads(said.splitlines()[-1])

    def ask(self, **changes: str | None) -> dict[str, tuple[str, str]]:
        """Call every room by its name; return code and message by room."""
        by_name = {room: f"{host_of(room)}:{port}" for room, port in PORTS.items()}
        found = self.run(ASK, json.dumps(by_name), **changes)
        return {room: (code, message) for room, (code, message) in found.items()}


@pytest.fixture(scope="module")
def cluster(
    engine: Engine, images: Mapping[str, Image], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("secrets")
    _open_to_all(folder)
    secrets = write_secrets(folder / "ours")
    with ExitStack() as stack:
        models = stack.enter_context(ModelServer(host=GATEWAY))
        hosts = {"JUDGE_ENDPOINTS": json.dumps({"default": {"base_url": models.base_url}})}
        rooms = {
            room: stack.enter_context(
                _room(engine, images[room], secrets, hosts if room == "judge" else {})
            )
            for room in GRPC_ROOMS
        }
        yield Cluster(
            engine=engine,
            images=images,
            rooms=rooms,
            secrets=secrets,
            strange=write_secrets(
                folder / "strange", token="another token", issuer="another authority"
            ),
            models=models,
        )


@contextmanager
def _room(
    engine: Engine,
    image: Image,
    secrets: Secrets,
    told: Mapping[str, str] | None = None,
    *,
    without: str = "",
    host: str = "",
) -> Iterator[Container]:
    settings = room_settings(image.room)
    settings.pop(without, "")
    alias = f"--network-alias={host or host_of(image.room)}"
    with room_container(
        engine,
        image,
        name=host or image.room,
        environment={**settings, **(told or {})},
        mounts=secrets.mounts,
        options=(alias,),
        is_ready=_is_ready,
    ) as container:
        yield container


def _is_ready(container: Container, room: str) -> bool:
    """What the chart's readiness probe asks where rooms speak TLS."""
    return status_of(f"{container.address}:{METRICS_PORTS[room]}/ready") == 200


def _open_to_all(folder: Path) -> None:
    """Let users of containers pass through a folder of pytest's."""
    for each in (folder, *folder.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)


def test_the_chart_gives_rooms_and_callers_everything_that_they_need() -> None:
    assert caller_settings() == {
        f"{CHANNEL}CA_FILE": f"{TLS}/ca.crt",
        f"{CHANNEL}CERTIFICATE_FILE": f"{TLS}/tls.crt",
        f"{CHANNEL}KEY_FILE": f"{TLS}/tls.key",
        f"{CHANNEL}TOKEN_FILE": f"{AUTH}/token",
    }
    for room in GRPC_ROOMS:
        told = {name.removeprefix(f"{room.upper()}_") for name in room_settings(room)}
        assert told >= {"TLS_CERTIFICATE_FILE", "TLS_KEY_FILE", "TLS_CLIENT_CA_FILE", "TOKEN_FILE"}


def test_a_run_reaches_every_room_by_name_with_certificate_and_token(cluster: Cluster) -> None:
    assert cluster.ask() == dict.fromkeys(GRPC_ROOMS, ("OK", ""))


@pytest.mark.parametrize("token", [None, f"/strange{AUTH}/token"], ids=["none", "another"])
def test_a_call_without_the_token_is_refused(cluster: Cluster, token: str | None) -> None:
    found = cluster.ask(token_file=token)

    assert {code for code, _ in found.values()} == {"UNAUTHENTICATED"}
    assert all("token" in message for _, message in found.values())


def test_a_caller_that_does_not_know_the_authority_sends_nothing(cluster: Cluster) -> None:
    found = cluster.ask(ca_file=f"/strange{TLS}/ca.crt")

    assert {code for code, _ in found.values()} == {"UNAVAILABLE"}
    assert [said for _, said in found.values() if "CERTIFICATE_VERIFY_FAILED" not in said] == []


def test_a_caller_in_plain_text_reaches_no_room(cluster: Cluster) -> None:
    found = cluster.ask(ca_file=None, certificate_file=None, key_file=None)

    assert {code for code, _ in found.values()} == {"UNAVAILABLE"}


@pytest.mark.parametrize("folder", [None, f"/strange{TLS}"], ids=["none", "another authority's"])
def test_a_caller_without_a_certificate_of_the_authority_reaches_no_room(
    cluster: Cluster, folder: str | None
) -> None:
    found = cluster.ask(
        certificate_file=folder and f"{folder}/tls.crt", key_file=folder and f"{folder}/tls.key"
    )

    assert {code for code, _ in found.values()} == {"UNAVAILABLE"}


def test_a_room_at_an_address_that_its_certificate_does_not_name_is_not_trusted(
    cluster: Cluster,
) -> None:
    by_address = {room: f"{each.address}:{PORTS[room]}" for room, each in cluster.rooms.items()}

    found = cluster.run(ASK, json.dumps(by_address))

    assert {code for code, _ in found.values()} == {"UNAVAILABLE"}


def test_the_dataset_room_asks_the_judge_over_tls(cluster: Cluster) -> None:
    before = cluster.models.num_requests

    report = cluster.run(AUDIT, f"{host_of('dataset')}:{PORTS['dataset']}")

    assert cluster.models.num_requests == before + 2
    (quality,) = (gate for gate in report["gates"] if gate["gate"] == "quality")
    assert quality["ran"]
    assert quality["checked"] == "2"


def test_a_dataset_room_without_the_judges_token_says_so(cluster: Cluster) -> None:
    missing = "DATASET_JUDGE_CHANNEL__TOKEN_FILE"
    room = _room(
        cluster.engine,
        cluster.images["dataset"],
        cluster.secrets,
        without=missing,
        host=SECOND_HOST,
    )
    with room:
        refused = cluster.run(AUDIT, f"{SECOND_HOST}:{PORTS['dataset']}")

    assert refused["code"] == "UNAVAILABLE"
    assert host_of("judge") in refused["message"]
    assert "token" in refused["message"]
    assert "(UNAUTHENTICATED)" in refused["message"]
