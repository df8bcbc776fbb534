"""The site port: where a run's services, trainings and model hosts are."""

from __future__ import annotations

import asyncio
from typing import Protocol, Self

from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.launcher import TrainingLauncher
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.rooms import RoomAddresses
from pipelines.experiment.spec import Experiment
from pipelines.experiment.traffic import TrafficRouter


class Site(Protocol):
    """A place to run experiments; an asynchronous context manager once it was checked."""

    places: RunPlaces
    """Store and scratch."""

    @property
    def trains_at_once(self) -> int | None:
        """Trainings that may run at once; None: as many as this machine's cores allow."""

    @property
    def serving_revision(self) -> str:
        """Digest of what hosts checkpoints here; replies are a function of it."""

    def check(self, experiment: Experiment) -> None:
        """Say what is missing before anything starts.

        Raises:
            ExperimentImpossible: an endpoint, credential or setting is missing or wrong.
        """

    async def __aenter__(self) -> Self:
        """Start what has to run here."""

    async def __aexit__(self, *_: object) -> None:
        """Stop what was started here."""

    @property
    def addresses(self) -> RoomAddresses:
        """Where the gRPC rooms listen."""

    @property
    def failure(self) -> asyncio.Future[None]:
        """Holds an exception as soon as the site cannot go on."""

    @property
    def host(self) -> ModelHost:
        """Hosts checkpoints while they are measured."""

    @property
    def launcher(self) -> TrainingLauncher:
        """Carries out trainings."""

    @property
    def traffic(self) -> TrafficRouter | None:
        """Shifts traffic between checkpoints; None where no traffic is served."""
