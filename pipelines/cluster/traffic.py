"""Shifts the traffic of services between checkpoints, by the means of the profile's mode."""

from __future__ import annotations

import asyncio

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.faults import ClusterFault
from pipelines.cluster.inference_service import check_service
from pipelines.cluster.inference_services import InferenceServices, NeverReady, Waiting
from pipelines.cluster.knative_traffic import KnativeTraffic
from pipelines.cluster.predictor import NotServable
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.route_traffic import RouteTraffic
from pipelines.cluster.stored_checkpoint import StoredCheckpoint, stored_checkpoint
from pipelines.experiment.traffic import Traffic, TrafficNotShifted
from services.servicekit.storage.port import ObjectStore


class KserveTraffic:
    """Who answers for services; clients ask for a service's name whatever checkpoint answers."""

    def __init__(
        self,
        api: KubernetesApi,
        profile: ClusterProfile,
        store: ObjectStore,
        *,
        waiting: Waiting | None = None,
    ) -> None:
        """Serve checkpoints of ``store``, which must be the bucket of the profile."""
        waiting = waiting or Waiting()
        services = InferenceServices(
            api, ready_seconds=profile.serving.ready_seconds, waiting=waiting
        )
        self._store = store
        self._router: KnativeTraffic | RouteTraffic
        if profile.serving.mode == "Knative":
            self._router = KnativeTraffic(services, profile)
        else:
            self._router = RouteTraffic(api, services, profile, waiting)

    async def current(self, service: str) -> Traffic | None:
        """Say who answers now; None where there is no such service yet.

        Raises:
            TrafficNotShifted: the cluster cannot be asked.
        """
        try:
            check_service(service)
            return await self._router.current(service)
        except (NotServable, ClusterFault) as error:
            raise TrafficNotShifted(f"service {service}: {error}") from error

    async def shift(self, service: str, checkpoint: str, percent: int) -> Traffic:
        """Give ``checkpoint`` this share of the requests, 1 to 100, and wait until it answers.

        The stable checkpoint gets everything, whatever the share.

        Raises:
            TrafficNotShifted: the checkpoint did not become ready; traffic is as it was before.
        """
        before = await self.current(service)
        try:
            if before is not None and before.stable == checkpoint:
                return await self._roll_back(service, before)
            return await self._router.shift(service, await self._look_up(checkpoint), percent)
        except NeverReady as error:
            raise TrafficNotShifted(
                f"service {service}: checkpoint {checkpoint} did not get {percent} percent of the "
                f"requests: {error}\n{_told(before)}"
            ) from error
        except (NotServable, ClusterFault) as error:
            raise TrafficNotShifted(f"service {service}: {error}\n{_told(before)}") from error

    async def roll_back(self, service: str) -> Traffic:
        """Give everything to the stable checkpoint again; without a candidate nothing changes.

        Raises:
            TrafficNotShifted: it could not be done.
        """
        before = await self.current(service)
        if before is None:
            raise TrafficNotShifted(f"service {service}: there is no such service to roll back")
        try:
            return await self._roll_back(service, before)
        except (NeverReady, NotServable, ClusterFault) as error:
            raise TrafficNotShifted(
                f"service {service}: it was not rolled back to {before.stable}: {error}"
            ) from error

    async def _roll_back(self, service: str, before: Traffic) -> Traffic:
        return await self._router.roll_back(service, before.stable, self._look_up)

    async def _look_up(self, checkpoint: str) -> StoredCheckpoint:
        return await asyncio.to_thread(stored_checkpoint, self._store, checkpoint)


def _told(before: Traffic | None) -> str:
    if before is None:
        return "There is no such service still."
    if before.candidate:
        return (
            f"As before, {before.candidate} answers {before.candidate_percent} percent of the "
            f"requests and {before.stable} the rest."
        )
    return f"As before, {before.stable} answers all requests."
