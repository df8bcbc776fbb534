"""The rollout's servicer: reads requests, has scenarios played, writes episodes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from teachwhy.rollout.v1 import rollout_service_pb2 as pb
from teachwhy.rollout.v1 import rollout_service_pb2_grpc

from services.rollout import metrics
from services.rollout.contamination import ContaminationFilters
from services.rollout.contamination_convert import filter_request_from_proto, filter_to_proto
from services.rollout.convert import (
    RequestReader,
    episode_to_proto,
    scenario_to_proto,
    suite_to_proto,
)
from services.rollout.player import Player
from services.rollout.suites import Suites

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RolloutService(rollout_service_pb2_grpc.RolloutServiceServicer):
    """Plays episodes; keeps nothing."""

    def __init__(self, suites: Suites, player: Player, endpoints: Sequence[str]) -> None:
        self._suites = suites
        self._player = player
        self._read = RequestReader(suites, endpoints)
        self._filters = ContaminationFilters(suites)

    async def ListSuites(
        self, request: pb.ListSuitesRequest, context: _Context
    ) -> pb.ListSuitesResponse:
        """List every suite."""
        return pb.ListSuitesResponse(suites=map(suite_to_proto, self._suites.profiles()))

    async def ListScenarios(
        self, request: pb.ListScenariosRequest, context: _Context
    ) -> pb.ListScenariosResponse:
        """List a page of a suite's scenarios."""
        page = self._read.page(request)
        return pb.ListScenariosResponse(
            scenarios=map(scenario_to_proto, page.scenarios),
            next_page_token=page.next_page_token,
        )

    async def RunEpisode(
        self, request: pb.RunEpisodeRequest, context: _Context
    ) -> pb.RunEpisodeResponse:
        """Play one scenario."""
        part = self._read.part(request)
        suite, scenario = self._suites.find(request.scenario_id)
        episode = await self._player.play_one(suite, scenario, part)
        metrics.count(episode)
        return pb.RunEpisodeResponse(episode=episode_to_proto(episode, 0))

    async def RunEpisodes(
        self, request: pb.RunEpisodesRequest, context: _Context
    ) -> AsyncIterator[pb.RunEpisodesResponse]:
        """Play a series from an index on."""
        series = self._read.series(request)
        total = len(series.playlist)
        index = series.start_index
        # Closed here and now, so that a cancelled call stops its model calls at once.
        playing = self._player.play_all(series.playlist, series.part, index)
        async with aclosing(playing) as episodes:
            async for episode in episodes:
                metrics.count(episode)
                yield pb.RunEpisodesResponse(
                    episode=episode_to_proto(episode, index), total_episodes=total
                )
                index += 1

    async def GetContaminationFilter(
        self, request: pb.GetContaminationFilterRequest, context: _Context
    ) -> pb.GetContaminationFilterResponse:
        """Say what held-out scenarios look like, hashed."""
        wanted = filter_request_from_proto(request)
        # Off the event loop: the first time, every scenario is made.
        made = await asyncio.to_thread(self._filters.get, wanted)
        return pb.GetContaminationFilterResponse(filter=filter_to_proto(made))
