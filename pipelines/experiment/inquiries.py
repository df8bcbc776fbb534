"""Questions to the rooms that leave nothing behind: previews, records, texts of replies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
from rich.console import Console
from teachwhy.dataset.v1 import dataset_service_pb2
from teachwhy.scoreboard.v1 import scoreboard_service_pb2

from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.panel_results import PanelResults
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.preview import chosen_datasets, preview_dataset
from pipelines.experiment.report_cells import number_rows, reason_rows
from pipelines.experiment.report_numbers import NumberRow, ReasonRow
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.runner import lay_out

MOST_KEYS = 100


async def preview(
    loaded: LoadedExperiment,
    places: RunPlaces,
    *,
    dataset: str,
    items: int,
    console: Console,
) -> None:
    """Print the first items of the datasets that ``dataset`` means; all where it is empty."""
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        planned = await lay_out(loaded, places, rooms)
        for title, step in chosen_datasets(planned, dataset):
            await preview_dataset(title, step, planned, rooms, items=items, console=console)


async def evaluations(loaded: LoadedExperiment, places: RunPlaces) -> frozenset[str]:
    """Ask where the evaluations of an experiment are kept, by key prefix."""
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        planned = await lay_out(loaded, places, rooms)
    return frozenset(places.output(step).prefix for step in planned.graph.evaluations)


async def reasons(loaded: LoadedExperiment, places: RunPlaces) -> list[ReasonRow]:
    """Group the reasons that the panel of an experiment names, as far as it has judged."""
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        planned = await lay_out(loaded, places, rooms)
    facts = await asyncio.to_thread(lambda: PanelResults(planned.graph, places).facts())
    return [row for key, found in facts.items() for row in reason_rows(*key, found)]


async def evaluation_numbers(name: str, places: RunPlaces) -> tuple[str, list[NumberRow]]:
    """Ask the scoreboard for one record; return what it is, and its cells."""
    request = scoreboard_service_pb2.GetEvaluationRequest(name=name)
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        response = await rooms.scoreboard.GetEvaluation(request)
    found = response.evaluation
    header = found.header
    title = (
        f"{found.name}: {header.arm} of {header.experiment}, model {header.model}, seed "
        f"{header.seed}, judged by {header.rubric}"
    )
    if header.opinion_rubric:
        title += f" and a panel by {header.opinion_rubric}"
    return title, list(number_rows(header.arm, header.train_tokens, found.cells))


async def sample_size(
    places: RunPlaces, **asked: float
) -> scoreboard_service_pb2.PlanSampleSizeResponse:
    """Ask the scoreboard how many episodes tell two rates apart; fields as in its request."""
    request = scoreboard_service_pb2.PlanSampleSizeRequest(**asked)  # type: ignore[arg-type]
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        return await rooms.scoreboard.PlanSampleSize(request)


async def replies(places: RunPlaces, keys: Sequence[str]) -> dict[str, str]:
    """Fetch the texts of replies by key; those that are no longer kept are left out."""
    if not keys:
        return {}
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        return await fetch_replies(keys, rooms)


async def fetch_replies(keys: Sequence[str], rooms: Rooms) -> dict[str, str]:
    """Fetch the texts of replies by key; those that are no longer kept are left out."""
    found: dict[str, str] = {}
    for start in range(0, len(keys), MOST_KEYS):
        batch = keys[start : start + MOST_KEYS]
        try:
            found |= await _texts(batch, rooms)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            for key in batch:
                found |= await _text_if_kept(key, rooms)
    return found


async def _texts(keys: Sequence[str], rooms: Rooms) -> dict[str, str]:
    request = dataset_service_pb2.GetRepliesRequest(keys=keys)
    response = await rooms.dataset.GetReplies(request)
    return dict(zip(keys, response.texts, strict=True))


async def _text_if_kept(key: str, rooms: Rooms) -> dict[str, str]:
    try:
        return await _texts([key], rooms)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return {}
