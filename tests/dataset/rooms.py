"""What the tests of the dataset room share: types, and the room as a server in this process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc

from services.dataset.example import Example
from services.dataset.recipe import Recipe
from services.dataset.service import DatasetService
from services.dataset.settings import DatasetSettings
from services.servicekit.channel import open_channel
from services.servicekit.server import ServiceBinding, serving

WriteExamples: TypeAlias = Callable[..., list[Example]]
Stub: TypeAlias = "dataset_service_pb2_grpc.DatasetServiceAsyncStub"


@asynccontextmanager
async def open_room(recipes: Mapping[str, Recipe]) -> AsyncIterator[Stub]:
    """Serve recipes behind a real port, and stop without patience."""
    service = DatasetService(recipes)
    binding = ServiceBinding(
        full_name=dataset_service_pb2.DESCRIPTOR.services_by_name["DatasetService"].full_name,
        add=lambda server: dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(
            service, server
        ),
    )
    settings = DatasetSettings(port=0, metrics_port=0, drain_seconds=0, drain_pause_seconds=0)
    async with (
        serving(settings, services=[binding]) as ports,
        open_channel(ports.address) as channel,
    ):
        yield dataset_service_pb2_grpc.DatasetServiceStub(channel)
