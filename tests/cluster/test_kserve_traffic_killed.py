"""A process that shifts traffic may be killed anywhere; the next one completes or undoes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.experiment.traffic import Traffic
from tests.cluster.serving_cluster import ServingCluster, serving_cluster
from tests.cluster.shifting import BOTH, NEW, NEWER, OLD, answering, kill_at, shares


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ServingCluster]:
    with serving_cluster(tmp_path) as running:
        for name in (OLD, NEW, NEWER):
            running.publish(name)
        yield running


@BOTH
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 6, 8])
async def test_a_shift_that_was_killed_anywhere_is_completed_when_repeated(
    cluster: ServingCluster, options: dict[str, Any], cut: int
) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)
        await kill_at(cluster, traffic.shift("agent", NEW, 100), request=cut)

        await traffic.shift("agent", NEW, 100)
        assert await traffic.current("agent") == Traffic(stable=NEW)

    assert shares(cluster) == {NEW: 100}
    assert cluster.checkpoints == [NEW]


@BOTH
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 6, 8])
async def test_a_canary_that_was_killed_anywhere_can_be_rolled_back(
    cluster: ServingCluster, options: dict[str, Any], cut: int
) -> None:
    async with answering(cluster, options) as traffic:
        await kill_at(cluster, traffic.shift("agent", NEW, 10), request=cut)

        await traffic.roll_back("agent")
        assert await traffic.current("agent") == Traffic(stable=OLD)

    assert shares(cluster) == {OLD: 100}
    assert cluster.checkpoints == [OLD]


@BOTH
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 6, 8])
async def test_a_roll_back_that_was_killed_anywhere_is_completed_when_repeated(
    cluster: ServingCluster, options: dict[str, Any], cut: int
) -> None:
    async with answering(cluster, options) as traffic:
        await traffic.shift("agent", NEW, 10)
        await kill_at(cluster, traffic.roll_back("agent"), request=cut)

        await traffic.roll_back("agent")
        assert await traffic.current("agent") == Traffic(stable=OLD)

    assert shares(cluster) == {OLD: 100}
    assert cluster.checkpoints == [OLD]
