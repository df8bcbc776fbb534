"""The dataset servicer: converts in, opens a dataset, converts out."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from teachwhy.dataset.v1 import audit_pb2, dataset_service_pb2_grpc
from teachwhy.dataset.v1 import dataset_service_pb2 as pb

from services.dataset.checks import check_resume_point
from services.dataset.convert import (
    clause_to_proto,
    items_to_proto,
    keys_from_proto,
    length_of,
    max_items_from_proto,
    plan_to_proto,
    previewed_to_proto,
    recipe_to_proto,
)
from services.dataset.metrics import item_counter
from services.dataset.opening import Datasets, find_constitution
from services.dataset.spec_convert import (
    constitution_from_proto,
    resume_point_from_proto,
    spec_from_proto,
)
from services.dataset.studio import Studio
from services.servicekit.errors import ResourceNotFound
from services.servicekit.series import in_batches

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# Of one message. An example has at most some hundred KiB, a message 16 MiB, a character 4 bytes.
_MAX_ITEMS = 64
_MAX_CHARACTERS = 1 << 20


class DatasetService(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Writes training data; keeps nothing but the replies it paid for."""

    def __init__(self, datasets: Datasets, studio: Studio) -> None:
        self._datasets = datasets
        self._studio = studio

    async def ListRecipes(
        self, request: pb.ListRecipesRequest, context: _Context
    ) -> pb.ListRecipesResponse:
        """List every recipe."""
        return pb.ListRecipesResponse(recipes=map(recipe_to_proto, self._datasets.recipes.values()))

    async def ListClauses(
        self, request: pb.ListClausesRequest, context: _Context
    ) -> pb.ListClausesResponse:
        """List the clauses of a constitution."""
        source = constitution_from_proto(request.constitution, field="constitution")
        constitution = find_constitution(source, "constitution")
        return pb.ListClausesResponse(
            clauses=map(clause_to_proto, constitution.clauses),
            constitution_digest=constitution.digest,
        )

    async def PlanDataset(
        self, request: pb.PlanDatasetRequest, context: _Context
    ) -> pb.PlanDatasetResponse:
        """Say what a dataset would be and cost."""
        dataset = await self._datasets.open(spec_from_proto(request))
        return plan_to_proto(await dataset.plan())

    async def PreviewExamples(
        self, request: pb.PreviewExamplesRequest, context: _Context
    ) -> AsyncIterator[pb.PreviewExamplesResponse]:
        """Write the first items and show every stage."""
        max_items = max_items_from_proto(request)
        dataset = await self._datasets.open(spec_from_proto(request))
        async with aclosing(dataset.preview(max_items)) as series:
            async for previewed in series:
                yield previewed_to_proto(previewed)

    async def GenerateExamples(
        self, request: pb.GenerateExamplesRequest, context: _Context
    ) -> AsyncIterator[pb.GenerateExamplesResponse]:
        """Write a dataset, from an item on."""
        point = resume_point_from_proto(request)
        check_resume_point(point)
        dataset = await self._datasets.open(spec_from_proto(request))
        count = item_counter(dataset.recipe.name)
        # Closed here and now, so that a cancelled call stops its model calls at once.
        async with aclosing(dataset.items(point)) as series:
            batches = in_batches(
                series, size_of=length_of, max_items=_MAX_ITEMS, max_size=_MAX_CHARACTERS
            )
            async with aclosing(batches):
                async for items in batches:
                    count(items)
                    yield items_to_proto(items)

    async def GetReplies(
        self, request: pb.GetRepliesRequest, context: _Context
    ) -> pb.GetRepliesResponse:
        """Return texts that the cache holds."""
        keys, cache = keys_from_proto(request), await self._studio.cache()
        texts = []
        for key in keys:
            reply = await cache.find(key)
            if reply is None:
                raise ResourceNotFound("reply", key)
            texts.append(reply.message.content)
        return pb.GetRepliesResponse(texts=texts)

    async def AuditDataset(
        self, request_iterator: AsyncIterator[audit_pb2.AuditDatasetRequest], context: _Context
    ) -> audit_pb2.AuditDatasetResponse:
        """Check a dataset as a whole."""
        # numpy comes with the gates; a room that audits nothing does without.
        from services.dataset.audit_service import audit_dataset  # noqa: PLC0415

        return await audit_dataset(
            request_iterator, self._studio.grader, self._datasets.recipes.keys()
        )
