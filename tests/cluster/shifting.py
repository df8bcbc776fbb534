"""Traffic that is shifted in a fake cluster, for the tests of both modes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipelines.cluster.inference_service import variant_name
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.traffic import KserveTraffic
from tests.cluster.fake_kubernetes.api_objects import Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE
from tests.cluster.fake_kubernetes.gateway_controller import HTTP_ROUTES
from tests.cluster.serving_cluster import ServingCluster
from tests.cluster.serving_profiles import OWN, STOCK, serving_profile

OLD, NEW, NEWER = "arm-old", "arm-new", "arm-newer"
GATEWAY = {"gateway": "infra/models", "gateway_hostname": "{service}.models.example.org"}
KNATIVE = {"runtime": STOCK, "mode": "Knative"}
ROUTED = {"runtime": OWN, "mode": "Standard", **GATEWAY}
PLAIN = {"runtime": OWN, "mode": "Standard"}
BOTH = pytest.mark.parametrize("options", [KNATIVE, ROUTED], ids=["knative", "routed"])


def profile_of(options: dict[str, Any], **more: Any) -> ClusterProfile:
    return serving_profile(**{"ready_seconds": 20, **options, **more})


@asynccontextmanager
async def shifting(
    cluster: ServingCluster, options: dict[str, Any], **more: Any
) -> AsyncIterator[KserveTraffic]:
    profile = profile_of(options, **more)
    async with cluster.api(profile) as api:
        yield cluster.traffic(api, profile)


@asynccontextmanager
async def answering(
    cluster: ServingCluster, options: dict[str, Any], **more: Any
) -> AsyncIterator[KserveTraffic]:
    """Traffic of a service all of whose requests OLD answers."""
    async with shifting(cluster, options, **more) as traffic:
        await traffic.shift("agent", OLD, 100)
        yield traffic


def shares(cluster: ServingCluster) -> dict[str, int]:
    """Share of each checkpoint as those that lead requests have it."""
    service = cluster.service("agent")
    if service is not None:
        return _knative_shares(cluster, service)
    route = cluster.fake.registry.find(HTTP_ROUTES, NAMESPACE, "agent")
    assert route is not None
    (rule,) = route["spec"]["rules"]
    found = {each["name"]: each["weight"] for each in rule["backendRefs"]}
    names = {f"{variant_name('agent', name)}-predictor": name for name in (OLD, NEW, NEWER)}
    return {names[name]: share for name, share in found.items()}


def _knative_shares(cluster: ServingCluster, service: Json) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in service["status"]["components"]["predictor"]["traffic"]:
        selector = f"serving.knative.dev/revision={each['revisionName']}"
        pods = cluster.pods(selector)
        name = pods[0]["metadata"]["labels"]["teachwhy.dev/checkpoint"]
        found[name] = found.get(name, 0) + each["percent"]
    return {name: share for name, share in found.items() if share}


async def kill_at(cluster: ServingCluster, work: Any, *, request: int) -> None:
    """Cancel the work as soon as it has made that many changing requests, or is done."""
    server = cluster.fake.server
    began = len(server.requests)
    task = asyncio.ensure_future(work)
    while not task.done():
        if len(server.requests) - began >= request:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Any) -> None:
    """Wait until it is so."""
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)
