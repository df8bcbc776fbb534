"""Traffic in Standard mode: an InferenceService for each checkpoint, and weights between them.

What a service is stands in its Service: the annotations say which checkpoint is the stable one,
which is tried and with what share. Where the profile has a gateway, an HTTPRoute is derived from
that. Whatever was killed in the middle is completed from the annotations when it is repeated.
"""

from __future__ import annotations

import asyncio
import time

from pipelines.cluster.api import KubernetesApi, ObjectRef
from pipelines.cluster.faults import NotOurs
from pipelines.cluster.inference_service import SERVICE, variant_name
from pipelines.cluster.inference_services import InferenceServices, NeverReady, Waiting
from pipelines.cluster.ownership import is_owned
from pipelines.cluster.predictor import NotServable
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.route_objects import (
    ROUTE_VERSION,
    address_name,
    address_of,
    refusal_of,
    route_of,
    traffic_of,
    variant_body,
)
from pipelines.cluster.stored_checkpoint import LookUp, StoredCheckpoint
from pipelines.experiment.traffic import Traffic

_ROUTE_SECONDS = 120.0
_ALL = 100


class RouteTraffic:
    """Shifts traffic between InferenceServices."""

    def __init__(
        self,
        api: KubernetesApi,
        services: InferenceServices,
        profile: ClusterProfile,
        waiting: Waiting,
    ) -> None:
        self._api = api
        self._services = services
        self._profile = profile
        self._waiting = waiting

    async def current(self, service: str) -> Traffic | None:
        """Say who answers now; None where there is no such service."""
        ref = _address_ref(service)
        address = await self._api.get(ref)
        if address is None:
            return None
        if not is_owned(address):
            raise NotOurs(f"{self._api.named(ref)} was not made by a run; it is not touched")
        return traffic_of(address)

    async def shift(self, service: str, checkpoint: StoredCheckpoint, percent: int) -> Traffic:
        """Give the checkpoint this share, and wait until it answers.

        Raises:
            NeverReady: it does not, or the gateway refuses it; traffic is as it was.
            NotServable: there is no gateway that could split the traffic.
        """
        before = await self.current(service)
        if before is None or percent == _ALL:
            after = Traffic(stable=checkpoint.name)
        else:
            after = Traffic(
                stable=before.stable, candidate=checkpoint.name, candidate_percent=percent
            )
        if after.candidate and not self._profile.serving.gateway:
            raise NotServable(
                f"service {service}: {percent} percent of its requests cannot be given to a "
                "checkpoint: in Standard mode a gateway splits them; set serving.gateway (and "
                "serving.gateway_hostname) in the cluster's file, or serving.mode to Knative, or "
                "shift 100 percent at once"
            )
        await self._services.ensure(variant_body(service, checkpoint, self._profile))
        try:
            await self._lead(service, after)
        except NeverReady:
            await self._restore(service, before)
            raise
        await self._remove_others(service, after)
        return after

    async def roll_back(self, service: str, stable: str, _look_up: LookUp) -> Traffic:
        """Give everything to the stable checkpoint, which answers already.

        Raises:
            NeverReady: the gateway refuses it.
        """
        after = Traffic(stable=stable)
        await self._lead(service, after)
        await self._remove_others(service, after)
        return after

    async def _write(self, service: str, traffic: Traffic) -> None:
        address = address_of(service, traffic, self._profile)
        await self._api.apply_owned(address, _address_ref(service))
        if self._profile.serving.gateway:
            route = route_of(service, traffic, self._profile)
            await self._api.apply_owned(route, _route_ref(service))

    async def _lead(self, service: str, traffic: Traffic) -> None:
        """Have the requests go to whom they should, and wait until the gateway says so."""
        await self._write(service, traffic)
        if not self._profile.serving.gateway:
            return
        ref = _route_ref(service)
        began = time.monotonic()
        refusal: str | None = None
        while time.monotonic() - began < _ROUTE_SECONDS:
            route = await self._api.get(ref)
            refusal = refusal_of(route) if route else "it was deleted by somebody else"
            if refusal == "":
                return
            if refusal:
                break
            await asyncio.sleep(self._waiting.poll)
        said = refusal or f"it said nothing within {_ROUTE_SECONDS:g} s"
        raise NeverReady(
            f"HTTPRoute {self._profile.namespace}/{service} is not taken by gateway "
            f"{self._profile.serving.gateway}: {said}"
        )

    async def _restore(self, service: str, before: Traffic | None) -> None:
        """Take back what the gateway refused; it still does what it was told last."""
        if before is not None:
            await self._write(service, before)
        else:
            await self._api.delete_owned(_route_ref(service))
            await self._api.delete_owned(_address_ref(service))
        await self._remove_others(service, before or Traffic(stable=""))

    async def _remove_others(self, service: str, traffic: Traffic) -> None:
        """Remove what answered for the service before, or was begun and never led to."""
        kept = {variant_name(service, each) for each in (traffic.stable, traffic.candidate) if each}
        for name in await self._services.names(f"{SERVICE}={service}"):
            if name not in kept:
                await self._services.remove(name)


def _address_ref(service: str) -> ObjectRef:
    return ObjectRef(
        api_version="v1", kind="Service", plural="services", name=address_name(service)
    )


def _route_ref(service: str) -> ObjectRef:
    return ObjectRef(api_version=ROUTE_VERSION, kind="HTTPRoute", plural="httproutes", name=service)
