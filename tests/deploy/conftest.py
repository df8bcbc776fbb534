"""What is slow to begin and can be asked by many: a Prometheus that watched real rooms at work."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.live_monitoring import Prometheus, Webhook, monitoring, wait_for
from tests.deploy.live_run import standing_rooms, training, use, watch_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Programs that run until the tests of a file are done, and no longer: they want a core."""

    prometheus: Prometheus
    webhook: Webhook
    folder: Path
    """For what else is started and scraped."""


SEEN = (
    'teachwhy_scoreboard_rate{experiment="tiny"}',
    'teachwhy_scoreboard_opinion_rate{experiment="panel"}',
    "teachwhy_scoreboard_gate_passed == 0",
    "teachwhy_scoreboard_promotion_percent > 0",
    "teachwhy_serving_completion_tokens_total > 0",
    "teachwhy_dataset_author_usd_total > 0",
    "teachwhy_training_done_tokens > 0",
    "teachwhy_training_validation_loss > 0",
    "teachwhy:misalignment_rate:max",
    "teachwhy:failed_calls:ratio_rate5m",
)
"""When all of these are there, so is the rest."""

RISEN = ("teachwhy:dataset_yield:ratio_increase30m", "teachwhy:failed_calls:increase6h > 0")
"""And these, after the same was asked for again."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Scrape a micro-world run, a run with a panel, standing rooms and a training."""
    folder = tmp_path_factory.mktemp("live")
    with ExitStack() as stack:
        prometheus, webhook = stack.enter_context(monitoring(folder / "monitoring"))
        runs = watch_runs(folder, prometheus)
        ports = stack.enter_context(standing_rooms(runs, prometheus))
        stack.enter_context(training(folder, prometheus))
        for seed, expressions in enumerate((SEEN, RISEN)):
            use(ports, runs, seed=seed)
            for each in expressions:
                wait_for(each, lambda seen=each: prometheus.query(seen))  # type: ignore[misc]
        yield Live(prometheus=prometheus, webhook=webhook, folder=folder)
