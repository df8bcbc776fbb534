"""What Prometheus reads: the latest evaluations, the same after a restart and everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.scoreboard.archive import Archive
from services.scoreboard.catalog import Catalog, CatalogRefresher
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.evaluation import EvaluationRecord, Header, Outcome
from services.scoreboard.metrics import ScoreboardCollector
from services.scoreboard.rates import count_outcomes
from services.scoreboard.series import latest_series
from services.servicekit.errors import StoreUnavailable
from services.servicekit.storage.directory import DirectoryStore
from tests.scoreboard.conftest import Record
from tests.scoreboard.samples import header, hits, outcomes

START = datetime(2026, 5, 1, tzinfo=UTC)
CELL = {
    "experiment": "microworld",
    "arm": "advice",
    "train_tokens": "0",
    "split": "held_out",
    "kind": "honeypot",
}
RATE = {**CELL, "conduct": "took_action"}


def _record(day: int, header: Header, outcomes: tuple[Outcome, ...]) -> EvaluationRecord:
    return EvaluationRecord(
        header=header,
        create_time=START + timedelta(days=day),
        num_outcomes=len(outcomes),
        counts=count_outcomes(outcomes),
    )


def _registry(catalog: Catalog, *, max_experiments: int = 50) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ScoreboardCollector(catalog, max_experiments=max_experiments))
    return registry


def _stable_lines(catalog: Catalog) -> list[str]:
    text = generate_latest(_registry(catalog)).decode()
    return [line for line in text.splitlines() if "listed_timestamp" not in line]


def test_the_latest_evaluation_of_every_seed_is_pooled() -> None:
    newest_first = [
        _record(3, header(seed=1, salt="again"), hits(1, 10, seed=1)),
        _record(2, header(seed=2), hits(3, 10, seed=2)),
        _record(1, header(seed=1), hits(9, 10, seed=1)),
    ]

    (series,) = latest_series(newest_first, max_experiments=5)

    assert series.num_seeds == 2
    assert series.latest == START + timedelta(days=3)
    assert series.cells[0].took_action.num_hits == 4
    assert series.cells[0].took_action.num_scored == 20


def test_token_budgets_of_one_arm_are_never_mixed() -> None:
    newest_first = [
        _record(2, header(train_tokens=2000), hits(1, 10)),
        _record(1, header(train_tokens=1000), hits(5, 10)),
    ]

    found = latest_series(newest_first, max_experiments=5)

    assert [(each.train_tokens, each.cells[0].took_action.num_hits) for each in found] == [
        (1000, 5),
        (2000, 1),
    ]


def test_rubrics_are_never_mixed() -> None:
    newest_first = [
        _record(2, header(seed=1, rubric="agentic-ledger@2"), hits(1, 10, seed=1)),
        _record(1, header(seed=2, rubric="agentic-ledger@1"), hits(5, 10, seed=2)),
    ]

    (series,) = latest_series(newest_first, max_experiments=5)

    assert series.num_seeds == 1
    assert series.cells[0].took_action.num_hits == 1


def test_only_the_latest_experiments_are_exported() -> None:
    newest_first = [
        _record(day, header(experiment=f"study-{day}"), hits(1, 10)) for day in (3, 2, 1)
    ]

    found = latest_series(newest_first, max_experiments=2)

    assert [each.experiment for each in found] == ["study-2", "study-3"]


def test_the_series_carry_what_is_needed_to_doubt_the_rate(
    record: Record, catalog: Catalog
) -> None:
    recorded = record(header(), outcomes([None] * 2) + hits(3, 10, seed=1))
    registry = _registry(catalog)

    def value(name: str, labels: dict[str, str]) -> float | None:
        return registry.get_sample_value(f"teachwhy_scoreboard_{name}", labels)

    assert value("rate", RATE) == 0.3
    assert value("rate_lower", RATE) == pytest.approx(0.1078, abs=1e-4)
    assert value("rate_upper", RATE) == pytest.approx(0.6032, abs=1e-4)
    assert value("rate_lowest_possible", RATE) == 3 / 12
    assert value("rate_highest_possible", RATE) == 5 / 12
    assert value("hits", RATE) == 3
    assert value("episodes", CELL) == 12
    assert value("scored_episodes", CELL) == 10
    assert value("unscored_episodes", CELL) == 2
    assert value("acted_episodes", CELL) == 3
    assert value("truncated_episodes", CELL) == 0
    arm = {name: CELL[name] for name in ("experiment", "arm", "train_tokens")}
    assert value("pooled_seeds", arm) == 1
    assert value("model_info", {**arm, "model": "model-1"}) == 1
    assert value("latest_evaluation_timestamp_seconds", arm) == pytest.approx(
        recorded.create_time.timestamp()
    )
    assert value("evaluations", {}) == 1


def test_an_arm_without_any_score_has_no_rate_and_the_widest_interval(
    record: Record, catalog: Catalog
) -> None:
    record(header(), outcomes([None] * 5))
    registry = _registry(catalog)

    assert registry.get_sample_value("teachwhy_scoreboard_rate", RATE) is None
    assert registry.get_sample_value("teachwhy_scoreboard_rate_lower", RATE) == 0
    assert registry.get_sample_value("teachwhy_scoreboard_rate_upper", RATE) == 1


def test_a_fresh_replica_exports_the_same_series(
    tmp_path: Path, record: Record, catalog: Catalog
) -> None:
    for seed in range(3):
        record(header(seed=seed), hits(seed + 1, 10, seed=seed))
    same_store = DirectoryStore(tmp_path / "store")
    fresh = Catalog(Archive(same_store), DecisionArchive(same_store))
    fresh.refresh()

    assert _stable_lines(fresh) == _stable_lines(catalog)
    assert len(_stable_lines(fresh)) > 20


def test_a_damaged_record_is_counted(store: DirectoryStore, catalog: Catalog) -> None:
    store.put(f"evaluations/{'0' * 32}/record.json", b"{}")

    catalog.refresh()

    name = "teachwhy_scoreboard_unreadable_evaluations"
    assert _registry(catalog).get_sample_value(name) == 1


class VanishedArchive(Archive):
    """An archive whose store cannot be listed."""

    def names(self) -> Iterator[str]:
        raise StoreUnavailable("directory", "it is gone")


async def test_a_store_that_vanishes_is_counted_and_tried_again(store: DirectoryStore) -> None:
    loop = asyncio.get_running_loop()
    failures: asyncio.Queue[None] = asyncio.Queue()
    refresher = CatalogRefresher(
        Catalog(VanishedArchive(store), DecisionArchive(store)),
        interval_seconds=0.01,
        on_failure=lambda: loop.call_soon_threadsafe(failures.put_nowait, None),
    )

    async with asyncio.timeout(30), refresher:
        await failures.get()
        await failures.get()
