"""A cluster as a site: trainings are PyTorchJobs, checkpoints are InferenceServices."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.inference_service import serving_revision
from pipelines.cluster.installed_rooms import installed_rooms
from pipelines.cluster.job_launcher import PyTorchJobLauncher
from pipelines.cluster.kserve_host import KserveHost
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.traffic import KserveTraffic
from pipelines.experiment.hosting import ModelHost
from pipelines.experiment.judge_endpoints import check_judges
from pipelines.experiment.launcher import TrainingLauncher
from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.rollout_endpoints import DEFAULT, RolloutHosts, rollout_hosts
from pipelines.experiment.rooms import RoomAddresses
from pipelines.experiment.spec import Experiment
from pipelines.experiment.traffic import TrafficRouter
from services.servicekit.channel import ChannelSettings
from services.servicekit.chat_endpoints import ChatEndpoint


class ClusterSite:
    """A site on the cluster of a profile; the run itself may be in it or outside.

    The rooms are those that are installed there, or, where the profile names none, processes
    beside the run that keep what they write in the same bucket.
    """

    def __init__(
        self, places: RunPlaces, profile: ClusterProfile, channel: ChannelSettings
    ) -> None:
        """Keep outputs at ``places``, which the cluster's pods must see too.

        Args:
            places: store and scratch.
            profile: the cluster.
            channel: how the installed rooms are reached.

        Raises:
            ExperimentImpossible: the store is no bucket, or another one than the pods'.
        """
        _check_store(places, profile)
        self.places = places
        self._profile = profile
        self._installed = installed_rooms(profile, channel)
        self._hosts = RolloutHosts()
        self._stack = AsyncExitStack()
        self._api = KubernetesApi(profile)
        self._services: LocalServices | None = None
        self._failure: asyncio.Future[None]

    @property
    def trains_at_once(self) -> int | None:
        """As many as the profile allows."""
        return self._profile.training.at_once

    @property
    def serving_revision(self) -> str:
        """Digest of the runtime of the InferenceServices."""
        return serving_revision(self._profile)

    def check(self, experiment: Experiment) -> None:
        """Look for credentials, and check names and endpoints."""
        self._api.check_credentials()
        if self._installed is None:
            check_judges(experiment.evaluation.panel if experiment.evaluation else None)
            own = rollout_hosts(experiment)
            address = self._profile.serving.url.replace("{namespace}", self._profile.namespace)
            self._hosts = RolloutHosts(
                endpoints={**own.endpoints, DEFAULT: ChatEndpoint(base_url=address)},
                keeps_replies=own.keeps_replies,
            )

    async def __aenter__(self) -> Self:
        """Open the connection to the cluster, and start rooms where none are installed."""
        await self._stack.enter_async_context(self._api)
        if self._installed is None:
            services = LocalServices(self.places, self._hosts)
            self._services = await self._stack.enter_async_context(services)
        self._failure = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection; what runs on the cluster goes on."""
        self._failure.cancel()
        await self._stack.aclose()

    @property
    def addresses(self) -> RoomAddresses:
        """Where the gRPC rooms listen."""
        addresses = self._services.addresses if self._services else self._installed
        assert addresses is not None, "rooms are started where none are installed"
        return addresses

    @property
    def failure(self) -> asyncio.Future[None]:
        """Holds an exception when a room that was started here cannot be kept alive."""
        return self._failure if self._services is None else self._services.failure

    @property
    def host(self) -> ModelHost:
        """Hosts checkpoints as InferenceServices."""
        return KserveHost(self._api, self._profile, self.places.store)

    @property
    def launcher(self) -> TrainingLauncher:
        """Runs trainings as PyTorchJobs."""
        return PyTorchJobLauncher(self._api, self._profile, self.places.store)

    @property
    def traffic(self) -> TrafficRouter | None:
        """Shifts traffic between InferenceServices."""
        return KserveTraffic(self._api, self._profile, self.places.store)


def _check_store(places: RunPlaces, profile: ClusterProfile) -> None:
    settings = places.store_settings
    if settings.kind != "s3":
        raise ExperimentImpossible(
            "PIPELINES_STORE: on a cluster outputs must be in the bucket that its pods see, "
            f"{profile.store.bucket!r}; set PIPELINES_STORE__KIND=s3, PIPELINES_STORE__ENDPOINT, "
            "PIPELINES_STORE__BUCKET and the keys"
        )
    if settings.bucket != profile.store.bucket:
        raise ExperimentImpossible(
            f"PIPELINES_STORE__BUCKET is {settings.bucket!r}, and the pods of the cluster see "
            f"store.bucket {profile.store.bucket!r}; both must be the same"
        )
