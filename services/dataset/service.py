"""The dataset servicer: converts in, opens a dataset, converts out."""

from collections.abc import AsyncIterator, Mapping

import grpc
from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc

from services.dataset.convert import (
    example_to_proto,
    plan_to_proto,
    recipe_to_proto,
    resume_point_from_proto,
    spec_from_proto,
)
from services.dataset.generation import open_dataset
from services.dataset.metrics import example_counter
from services.dataset.recipe import Recipe


class DatasetService(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Writes training data; keeps nothing."""

    def __init__(self, recipes: Mapping[str, Recipe]) -> None:
        self._recipes = recipes

    async def ListRecipes(
        self,
        request: dataset_service_pb2.ListRecipesRequest,
        context: grpc.aio.ServicerContext[
            dataset_service_pb2.ListRecipesRequest, dataset_service_pb2.ListRecipesResponse
        ],
    ) -> dataset_service_pb2.ListRecipesResponse:
        """List every recipe."""
        recipes = [recipe_to_proto(recipe) for recipe in self._recipes.values()]
        return dataset_service_pb2.ListRecipesResponse(recipes=recipes)

    async def PlanDataset(
        self,
        request: dataset_service_pb2.PlanDatasetRequest,
        context: grpc.aio.ServicerContext[
            dataset_service_pb2.PlanDatasetRequest, dataset_service_pb2.PlanDatasetResponse
        ],
    ) -> dataset_service_pb2.PlanDatasetResponse:
        """Say what a dataset would be."""
        dataset = open_dataset(spec_from_proto(request), self._recipes)
        return plan_to_proto(dataset.plan())

    async def GenerateExamples(
        self,
        request: dataset_service_pb2.GenerateExamplesRequest,
        context: grpc.aio.ServicerContext[
            dataset_service_pb2.GenerateExamplesRequest,
            dataset_service_pb2.GenerateExamplesResponse,
        ],
    ) -> AsyncIterator[dataset_service_pb2.GenerateExamplesResponse]:
        """Write a dataset, one example at a time and none ahead of the stream."""
        dataset = open_dataset(spec_from_proto(request), self._recipes)
        count = example_counter(dataset.recipe.name)
        for example in dataset.examples(resume_point_from_proto(request)):
            yield dataset_service_pb2.GenerateExamplesResponse(example=example_to_proto(example))
            count(example)
