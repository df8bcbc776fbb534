"""This machine as a site: services, trainings and the model server are its processes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.judge_endpoints import check_judges
from pipelines.experiment.launcher import TrainingLauncher
from pipelines.experiment.local_host import LocalHost
from pipelines.experiment.local_launcher import LocalLauncher
from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.revisions import own_serving_revision
from pipelines.experiment.rollout_endpoints import RolloutHosts, rollout_hosts
from pipelines.experiment.rooms import RoomAddresses
from pipelines.experiment.spec import Experiment
from pipelines.experiment.traffic import TrafficRouter


class LocalSite:
    """A site that starts everything as a child process and leaves nothing running."""

    def __init__(self, places: RunPlaces) -> None:
        """Keep outputs and unfinished work at ``places``."""
        self.places = places
        self._hosts = RolloutHosts()
        self._stack = AsyncExitStack()
        self._services: LocalServices
        self._host: LocalHost

    def check(self, experiment: Experiment) -> None:
        """Check every endpoint that is asked."""
        check_judges(experiment.evaluation.panel if experiment.evaluation else None)
        self._hosts = rollout_hosts(experiment)

    async def __aenter__(self) -> Self:
        """Start the rooms; the model server starts when it is first needed."""
        self._services = await self._stack.enter_async_context(
            LocalServices(self.places, self._hosts)
        )
        self._host = await self._stack.enter_async_context(
            LocalHost(self._services.serving_url, self._services.ensure_serving)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all of them."""
        await self._stack.aclose()

    @property
    def trains_at_once(self) -> int | None:
        """As many as the cores allow."""
        return None

    @property
    def serving_revision(self) -> str:
        """The model server of this repository."""
        return own_serving_revision()

    @property
    def addresses(self) -> RoomAddresses:
        """Where the gRPC rooms listen."""
        return self._services.addresses

    @property
    def failure(self) -> asyncio.Future[None]:
        """Holds an exception when a service cannot be kept alive."""
        return self._services.failure

    @property
    def host(self) -> ModelHost:
        """This machine's model server."""
        return self._host

    @property
    def launcher(self) -> TrainingLauncher:
        """Runs trainings as child processes."""
        return LocalLauncher(self.places.store, self.places.scratch)

    @property
    def traffic(self) -> TrafficRouter | None:
        """Nobody's requests are answered here."""
        return None
