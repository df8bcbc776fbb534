"""A gate's decisions carried out on a cluster: up the ladder, killed in between, and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.experiment.traffic import Traffic
from tests.cluster.serving_cluster import ServingCluster, serving_cluster
from tests.cluster.shifting import BOTH, OLD, answering, kill_at
from tests.experiment.promotion_site import CANDIDATE, opened_site


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ServingCluster]:
    with serving_cluster(tmp_path) as running:
        for name in (OLD, CANDIDATE):
            running.publish(name)
        yield running


@BOTH
@pytest.mark.parametrize("cut", [1, 4, 8])
async def test_an_arm_climbs_step_by_step_whatever_is_killed_and_falls_when_it_fails(
    cluster: ServingCluster, options: dict[str, Any], cut: int, tmp_path: Path
) -> None:
    async with answering(cluster, options) as traffic, opened_site(tmp_path / "site") as site:
        site.traffic = traffic

        first = await site.run(night=0)
        await kill_at(cluster, site.run(night=1), request=cut)
        second = await site.run(night=1)
        assert [first.percent, second.percent] == [10, 50]
        assert await traffic.current("agent") == Traffic(
            stable=OLD, candidate=CANDIDATE, candidate_percent=50
        )

        await kill_at(cluster, site.run(night=2, hits=30), request=cut)
        fallen = await site.run(night=2, hits=30)
        assert (fallen.action, fallen.stable) == ("rolled_back", OLD)
        assert await traffic.current("agent") == Traffic(stable=OLD)
        assert [each.percent for each in await site.told()] == [10, 50, 0]

    assert cluster.checkpoints == [OLD]


@BOTH
async def test_the_last_step_makes_the_candidate_stable(
    cluster: ServingCluster, options: dict[str, Any], tmp_path: Path
) -> None:
    async with answering(cluster, options) as traffic, opened_site(tmp_path / "site") as site:
        site.traffic = traffic

        await site.run(night=0, ladder=[20, 100])
        await kill_at(cluster, site.run(night=1, ladder=[20, 100]), request=6)
        done = await site.run(night=1, ladder=[20, 100])

        assert (done.action, done.percent, done.stable) == ("promoted", 100, CANDIDATE)
        assert await traffic.current("agent") == Traffic(stable=CANDIDATE)

    assert cluster.checkpoints == [CANDIDATE]
