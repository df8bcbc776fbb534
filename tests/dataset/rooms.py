"""What the tests of the dataset room share: types, and the room as a server in this process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc

from services.dataset.example import Example, Lineage
from services.dataset.grading import Grader
from services.dataset.grammar.dataset import GrammarDataset
from services.dataset.grammar.recipes import GRAMMAR_RECIPES
from services.dataset.opening import Datasets
from services.dataset.recipe import Recipe
from services.dataset.service import DatasetService
from services.dataset.settings import DatasetSettings
from services.dataset.spec import DatasetSpec, GrammarSettings
from services.dataset.studio import Studio
from services.microworld.passages import Chat, Document
from services.servicekit.channel import open_channel
from services.servicekit.chat import ChatModel
from services.servicekit.server import ServiceBinding, serving

WriteExamples: TypeAlias = "Callable[..., list[WrittenItem]]"
Stub: TypeAlias = "dataset_service_pb2_grpc.DatasetServiceAsyncStub"


@dataclass(frozen=True, kw_only=True)
class WrittenItem:
    """An example of the grammar, and the passage that it was made from."""

    example: Example
    content: Document | Chat

    @property
    def id(self) -> str:
        return self.example.id

    @property
    def lineage(self) -> Lineage:
        return self.example.lineage


def grammar_dataset(
    recipe: str, *, token_budget: int, seed: int = 0, grammar: GrammarSettings | None = None
) -> GrammarDataset:
    """A dataset of the grammar, without a room."""
    return GrammarDataset(
        spec=DatasetSpec(recipe=recipe, token_budget=token_budget, seed=seed),
        recipe=GRAMMAR_RECIPES[recipe],
        settings=grammar or GrammarSettings(),
    )


@asynccontextmanager
async def open_room(
    recipes: Mapping[str, Recipe],
    settings: DatasetSettings | None = None,
    *,
    model: ChatModel | None = None,
    grader: Grader | None = None,
) -> AsyncIterator[Stub]:
    """Serve recipes behind a real port, and stop without patience."""
    settings = settings or room_settings()
    studio = Studio(settings, model=model, grader=grader)
    service = DatasetService(Datasets(recipes, studio), studio)
    binding = ServiceBinding(
        full_name=dataset_service_pb2.DESCRIPTOR.services_by_name["DatasetService"].full_name,
        add=lambda server: dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(
            service, server
        ),
    )
    async with (
        serving(settings, services=[binding], resources=[studio]) as ports,
        open_channel(ports.address) as channel,
    ):
        yield dataset_service_pb2_grpc.DatasetServiceStub(channel)


def room_settings(**chosen: Any) -> DatasetSettings:
    """Settings of a room on ports of its own that stops without patience."""
    return DatasetSettings(port=0, metrics_port=0, drain_seconds=0, drain_pause_seconds=0, **chosen)
