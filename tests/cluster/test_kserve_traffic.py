"""Requests are shifted to candidates and back, in both modes, whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster.inference_service import variant_name
from pipelines.experiment.traffic import Traffic, TrafficNotShifted
from tests.cluster.fake_kubernetes.api_objects import INFERENCE_SERVICES, SERVICES
from tests.cluster.fake_kubernetes.cluster import NAMESPACE
from tests.cluster.fake_kubernetes.courses import is_never_scheduled
from tests.cluster.fake_kubernetes.faults import Cut, Refusal
from tests.cluster.fake_kubernetes.gateway_controller import HTTP_ROUTES
from tests.cluster.serving_cluster import ServingCluster, crashes, serving_cluster
from tests.cluster.shifting import (
    BOTH,
    KNATIVE,
    NEW,
    NEWER,
    OLD,
    PLAIN,
    ROUTED,
    answering,
    profile_of,
    shares,
    shifting,
    until,
)
from tests.cluster.typed_check import assert_typed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ServingCluster]:
    with serving_cluster(tmp_path) as running:
        for name in (OLD, NEW, NEWER):
            running.publish(name)
        yield running


@BOTH
async def test_the_first_checkpoint_of_a_service_answers_everything(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with shifting(cluster, options) as traffic:
        assert await traffic.current("agent") is None
        assert await traffic.shift("agent", OLD, 10) == Traffic(stable=OLD)
        assert await traffic.current("agent") == Traffic(stable=OLD)

    assert shares(cluster) == {OLD: 100}


@BOTH
async def test_a_candidate_gets_its_share_and_then_everything(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        for percent in (10, 50):
            after = await traffic.shift("agent", NEW, percent)
            assert after == Traffic(stable=OLD, candidate=NEW, candidate_percent=percent)
            assert await traffic.current("agent") == after
            assert shares(cluster) == {OLD: 100 - percent, NEW: percent}

        assert await traffic.shift("agent", NEW, 100) == Traffic(stable=NEW)
        assert await traffic.current("agent") == Traffic(stable=NEW)

    assert shares(cluster) == {NEW: 100}
    assert cluster.checkpoints == [NEW], "what answers nothing holds no GPU"


@BOTH
async def test_everything_may_be_shifted_at_once(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        assert await traffic.shift("agent", NEW, 100) == Traffic(stable=NEW)

    assert shares(cluster) == {NEW: 100}


@BOTH
async def test_a_candidate_is_rolled_back(cluster: ServingCluster, options: dict[str, Any]) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)

        assert await traffic.roll_back("agent") == Traffic(stable=OLD)
        assert await traffic.current("agent") == Traffic(stable=OLD)

    assert shares(cluster) == {OLD: 100}
    assert cluster.checkpoints == [OLD]


@BOTH
async def test_a_rolled_back_service_takes_the_next_candidate(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)
        await traffic.roll_back("agent")
        await traffic.shift("agent", NEWER, 20)
        assert shares(cluster) == {OLD: 80, NEWER: 20}
        await traffic.shift("agent", NEWER, 100)

    assert shares(cluster) == {NEWER: 100}


@BOTH
async def test_without_a_candidate_a_roll_back_changes_nothing(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        before = cluster.fake.registry.select(INFERENCE_SERVICES, NAMESPACE)
        assert await traffic.roll_back("agent") == Traffic(stable=OLD)

    assert cluster.fake.registry.select(INFERENCE_SERVICES, NAMESPACE) == before


@BOTH
async def test_another_candidate_takes_the_place_of_the_first(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)
        await traffic.shift("agent", NEWER, 10)

    assert shares(cluster) == {OLD: 90, NEWER: 10}
    assert cluster.checkpoints == sorted([OLD, NEWER])


@BOTH
async def test_the_stable_checkpoint_as_candidate_is_a_roll_back(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)
        assert await traffic.shift("agent", OLD, 100) == Traffic(stable=OLD)

    assert shares(cluster) == {OLD: 100}


@BOTH
@pytest.mark.parametrize("percent", [10, 100])
async def test_a_candidate_that_cannot_start_changes_nothing(
    cluster: ServingCluster, options: dict[str, Any], percent: int
) -> None:
    async with answering(cluster, options) as traffic:
        # The one that answers already goes on; what is made from now on crashes.
        cluster.fake.pods.play("agent-*", crashes("CUDA out of memory"))

        with pytest.raises(TrafficNotShifted) as failure:
            await traffic.shift("agent", NEW, percent)

        assert await traffic.current("agent") == Traffic(stable=OLD)

    told = str(failure.value)
    assert f"service agent: checkpoint {NEW} did not get {percent} percent" in told
    assert "CUDA out of memory" in told
    assert f"As before, {OLD} answers all requests." in told
    assert shares(cluster) == {OLD: 100}


@BOTH
async def test_a_candidate_that_finds_no_node_changes_nothing(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options, ready_seconds=2) as traffic:
        cluster.fake.pods.play("agent-*", is_never_scheduled())

        with pytest.raises(TrafficNotShifted, match="0/3 nodes are available"):
            await traffic.shift("agent", NEW, 10)

        assert await traffic.current("agent") == Traffic(stable=OLD)
    assert shares(cluster) == {OLD: 100}


@BOTH
async def test_a_first_checkpoint_that_cannot_start_leaves_no_service(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with shifting(cluster, options) as traffic:
        cluster.fake.pods.play("agent-*", crashes("boom"))
        with pytest.raises(TrafficNotShifted, match="There is no such service still"):
            await traffic.shift("agent", OLD, 100)

        assert await traffic.current("agent") is None
    assert cluster.services == set()


@BOTH
async def test_a_conflict_is_met_with_a_fresh_look(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    conflict = Refusal(409, "Conflict", "the object has been modified")
    async with answering(cluster, options) as traffic:
        cluster.fake.server.fail(conflict, when="^PUT ", times=2)
        await traffic.shift("agent", NEW, 10)

    assert shares(cluster) == {OLD: 90, NEW: 10}


@BOTH
async def test_an_answer_that_is_lost_does_no_harm(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        cluster.fake.server.fail(Cut(is_done=True), when="^(PUT|POST) ", times=2)
        await traffic.shift("agent", NEW, 10)

    assert shares(cluster) == {OLD: 90, NEW: 10}


async def test_a_service_that_is_not_ours_is_not_touched(cluster: ServingCluster) -> None:
    foreign = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "agent-predictor"}}
    cluster.fake.registry.create(SERVICES, NAMESPACE, foreign)

    async with shifting(cluster, PLAIN) as traffic:
        with pytest.raises(TrafficNotShifted, match="was not made by a run"):
            await traffic.shift("agent", OLD, 100)

    found = cluster.fake.registry.get(SERVICES, NAMESPACE, "agent-predictor")
    assert "spec" not in found
    assert cluster.services == set(), "nothing is left of what could not be led to"


async def test_without_a_gateway_a_share_is_refused_and_everything_switches(
    cluster: ServingCluster,
) -> None:
    async with answering(cluster, PLAIN) as traffic:
        with pytest.raises(TrafficNotShifted, match=r"set serving\.gateway") as failure:
            await traffic.shift("agent", NEW, 10)
        assert f"As before, {OLD} answers all requests." in str(failure.value)
        assert cluster.checkpoints == [OLD]

        assert await traffic.shift("agent", NEW, 100) == Traffic(stable=NEW)

    address = cluster.fake.registry.get(SERVICES, NAMESPACE, "agent-predictor")
    name = variant_name("agent", NEW)
    assert address["spec"]["selector"] == {"serving.kserve.io/inferenceservice": name}
    assert cluster.checkpoints == [NEW]


async def test_a_gateway_that_refuses_the_first_route_leaves_nothing(
    cluster: ServingCluster,
) -> None:
    cluster.gateway.refusal = "there is no gateway infra/models"
    async with shifting(cluster, ROUTED) as traffic:
        with pytest.raises(TrafficNotShifted, match="There is no such service still"):
            await traffic.shift("agent", OLD, 100)

    registry = cluster.fake.registry
    assert cluster.services == set()
    assert registry.select(HTTP_ROUTES, NAMESPACE) == registry.select(SERVICES, NAMESPACE) == []


async def test_a_gateway_that_refuses_the_route_is_quoted(cluster: ServingCluster) -> None:
    async with answering(cluster, ROUTED) as traffic:
        cluster.gateway.refusal = "namespace teachwhy is not allowed"
        with pytest.raises(TrafficNotShifted, match="namespace teachwhy is not allowed"):
            await traffic.shift("agent", NEW, 10)
        assert await traffic.current("agent") == Traffic(stable=OLD)

    assert shares(cluster) == {OLD: 100}
    assert cluster.checkpoints == [OLD]


async def test_what_is_measured_stays_out_of_what_is_served(cluster: ServingCluster) -> None:
    profile = profile_of(ROUTED)
    async with cluster.api(profile) as api:
        host, traffic = cluster.host(api, profile), cluster.traffic(api, profile)
        await traffic.shift("agent", OLD, 100)
        await host.load(OLD)
        await host.unload(OLD)

    assert cluster.checkpoints == [OLD]
    assert cluster.services == {variant_name("agent", OLD)}


async def test_a_roll_back_needs_a_service(cluster: ServingCluster) -> None:
    async with shifting(cluster, PLAIN) as traffic:
        with pytest.raises(TrafficNotShifted, match="agent: there is no such service"):
            await traffic.roll_back("agent")


@pytest.mark.parametrize("name", ["Agent", "1agent", "a" * 47])
async def test_a_name_that_no_service_can_have_is_refused(
    cluster: ServingCluster, name: str
) -> None:
    async with shifting(cluster, PLAIN) as traffic:
        with pytest.raises(TrafficNotShifted, match="cannot be the name of a service"):
            await traffic.shift(name, OLD, 100)


async def test_a_checkpoint_that_is_not_in_the_store_is_not_tried(cluster: ServingCluster) -> None:
    async with answering(cluster, ROUTED) as traffic:
        with pytest.raises(TrafficNotShifted, match="checkpoint arm-none"):
            await traffic.shift("agent", "arm-none", 10)

    assert shares(cluster) == {OLD: 100}


async def test_a_roll_back_needs_no_store_to_take_the_requests_away(
    cluster: ServingCluster,
) -> None:
    async with answering(cluster, KNATIVE) as traffic:
        await traffic.shift("agent", NEW, 10)
        cluster.store.delete(f"checkpoints/{OLD}/manifest.json")

        with pytest.raises(TrafficNotShifted, match=f"not rolled back to {OLD}"):
            await traffic.roll_back("agent")

    await until(lambda: shares(cluster) == {OLD: 100})


@BOTH
async def test_the_objects_have_the_form_of_their_kinds(
    cluster: ServingCluster, options: dict[str, Any]
) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)

    for service in cluster.fake.registry.select(INFERENCE_SERVICES, NAMESPACE):
        service.pop("status")
        assert_typed(service, "V1beta1InferenceService")
    for address in cluster.fake.registry.select(SERVICES, NAMESPACE):
        assert_typed(address, "V1Service")
