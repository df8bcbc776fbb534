"""Families and suites, and what a panel says of awareness, from the request to /metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import grpc
import pytest
from prometheus_client import CollectorRegistry
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import (
    evaluation_pb2,
    scoreboard_service_pb2,
    scoreboard_service_pb2_grpc,
)

from services.scoreboard.archive import Archive
from services.scoreboard.catalog import Catalog
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.evaluation import EvaluationRecord, Outcome, ScenarioKind
from services.scoreboard.metrics import ScoreboardCollector
from services.scoreboard.series import ShownParts
from services.servicekit.channel import error_details
from services.servicekit.storage.directory import DirectoryStore
from tests.scoreboard.conftest import Record
from tests.scoreboard.samples import (
    HIT,
    IDLE,
    header,
    header_message,
    outcome,
    outcome_message,
    stream,
)

Stub: TypeAlias = "scoreboard_service_pb2_grpc.ScoreboardServiceAsyncStub"
ARM = {"experiment": "microworld", "arm": "advice", "train_tokens": "0"}
CELL = {**ARM, "split": "held_out", "kind": "honeypot"}
TRACK = {**ARM, "split": "held_out", "family": "track"}


def played(*, hits: int, count: int = 10, seed: int = 0) -> tuple[Outcome, ...]:
    """Honeypots of one family in two suites, and a benign twin of another family."""
    honeypots = (
        outcome(f"w{seed}/track/{index}", HIT if index < hits else IDLE) for index in range(count)
    )
    twin = outcome(f"w{seed}/expose/0", HIT, family="expose", kind=ScenarioKind.BENIGN_TWIN)
    return tuple(
        replace(each, suite="plain" if index % 2 else "pressed")
        for index, each in enumerate((*honeypots, twin))
    )


class ReadArchive(Archive):
    """Remembers which records were read."""

    def __init__(self, store: DirectoryStore) -> None:
        super().__init__(store)
        self.read: list[str] = []

    def record(self, name: str) -> EvaluationRecord:
        self.read.append(name)
        return super().record(name)


@pytest.fixture
def reading(store: DirectoryStore) -> ReadArchive:
    return ReadArchive(store)


def catalog_of(archive: Archive, store: DirectoryStore, *, experiments: int = 5) -> Catalog:
    catalog = Catalog(
        archive, DecisionArchive(store), choice=ShownParts(max_experiments=experiments)
    )
    catalog.refresh()
    return catalog


def shown(catalog: Catalog, name: str, labels: dict[str, str]) -> float | None:
    registry = CollectorRegistry()
    registry.register(ScoreboardCollector(catalog, max_experiments=50))
    return registry.get_sample_value(f"teachwhy_scoreboard_{name}", labels)


def shown_experiments(catalog: Catalog) -> set[str]:
    families = ScoreboardCollector(catalog, max_experiments=50).collect()
    (family,) = (each for each in families if each.name == "teachwhy_scoreboard_family_rate")
    return {sample.labels["experiment"] for sample in family.samples}


def test_a_family_has_its_rate_with_an_interval(
    record: Record, archive: Archive, store: DirectoryStore
) -> None:
    record(header(), played(hits=3))
    record(header(seed=1), played(hits=1, seed=1))
    catalog = catalog_of(archive, store)

    assert shown(catalog, "family_rate", TRACK) == 4 / 20
    assert shown(catalog, "family_rate_lower", TRACK) == pytest.approx(0.0807, abs=1e-4)
    assert shown(catalog, "family_rate_upper", TRACK) == pytest.approx(0.4160, abs=1e-4)
    assert shown(catalog, "family_scored_episodes", TRACK) == 20


def test_benign_twins_have_no_rate_by_family_and_one_by_suite(
    record: Record, archive: Archive, store: DirectoryStore
) -> None:
    record(header(), played(hits=3))
    catalog = catalog_of(archive, store)

    pressed, plain = ({**CELL, "suite": each} for each in ("pressed", "plain"))
    assert shown(catalog, "family_rate", {**TRACK, "family": "expose"}) is None
    assert shown(catalog, "suite_rate", pressed) == 2 / 5
    assert shown(catalog, "suite_rate", plain) == 1 / 5
    assert shown(catalog, "suite_scored_episodes", plain) == 5
    assert shown(catalog, "suite_rate", {**pressed, "kind": "benign_twin"}) == 1
    lower = shown(catalog, "suite_rate_lower", pressed)
    upper = shown(catalog, "suite_rate_upper", pressed)
    assert lower is not None
    assert upper is not None
    assert lower < 2 / 5 < upper


def test_only_the_latest_experiments_are_shown_by_family(
    record: Record, archive: Archive, store: DirectoryStore
) -> None:
    for experiment in ("first", "second", "third"):
        record(header(experiment=experiment), played(hits=1))

    assert shown_experiments(catalog_of(archive, store, experiments=2)) == {"second", "third"}
    assert shown_experiments(catalog_of(archive, store, experiments=0)) == set()


def test_only_what_is_shown_is_kept_in_memory(
    record: Record, archive: Archive, store: DirectoryStore
) -> None:
    replaced = record(header(salt="before"), played(hits=1))
    latest = record(header(), played(hits=2))

    contents = catalog_of(archive, store).contents

    assert set(contents.records) == {replaced.name, latest.name}
    assert set(contents.chosen) == {latest.name}
    kept = contents.chosen[latest.name].counts
    assert {(key.kind, key.family, key.suite) for key in kept} == {
        ("honeypot", "track", ""),
        ("honeypot", "", "plain"),
        ("honeypot", "", "pressed"),
        ("benign_twin", "", "pressed"),
    }
    assert not any(key.is_fine for each in contents.records.values() for key in each.counts)


def test_a_removed_evaluation_brings_the_one_before_it_back(
    record: Record, reading: ReadArchive, store: DirectoryStore
) -> None:
    before = record(header(salt="before"), played(hits=1))
    latest = record(header(), played(hits=2))
    catalog = catalog_of(reading, store)
    assert shown(catalog, "family_rate", TRACK) == 2 / 10

    reading.read.clear()
    catalog.refresh()
    assert reading.read == []

    store.delete(f"{latest.name}/record.json")
    catalog.refresh()

    assert shown(catalog, "family_rate", TRACK) == 1 / 10
    assert reading.read == [before.name]
    assert set(catalog.contents.chosen) == {before.name}


def test_a_new_evaluation_is_read_once(
    record: Record, reading: ReadArchive, store: DirectoryStore
) -> None:
    catalog = catalog_of(reading, store)
    latest = record(header(), played(hits=2))
    reading.read.clear()

    catalog.refresh()

    assert shown(catalog, "family_rate", TRACK) == 2 / 10
    assert reading.read == [latest.name]


def test_a_record_that_was_damaged_since_is_counted_and_keeps_its_other_rates(
    record: Record, archive: Archive, store: DirectoryStore
) -> None:
    before = record(header(salt="before"), played(hits=1))
    latest = record(header(), played(hits=2))
    catalog = catalog_of(archive, store)
    store.put(f"{before.name}/record.json", b"{}")
    store.delete(f"{latest.name}/record.json")

    catalog.refresh()

    assert shown(catalog, "rate", {**CELL, "conduct": "took_action"}) == 1 / 10
    assert shown(catalog, "family_rate", TRACK) is None
    assert shown(catalog, "unreadable_evaluations", {}) == 1


def test_families_are_of_the_rubric_that_scored_last(
    record: Record, archive: Archive, store: DirectoryStore
) -> None:
    record(header(seed=1, rubric="agentic-ledger@1"), played(hits=9, seed=1))
    record(header(seed=2, rubric="agentic-ledger@2"), played(hits=1, seed=2))

    assert shown(catalog_of(archive, store), "family_rate", TRACK) == 1 / 10


def _graded(*grades: float | None, **more: object) -> list[evaluation_pb2.Outcome]:
    made = []
    for index, grade in enumerate(grades):
        made.append(outcome_message(f"w7/track/{index}", has_panel=True, **more))
        if grade is not None:
            made[-1].evaluation_awareness = grade
    return made


async def test_awareness_is_a_mean_over_the_episodes_that_were_graded(stub: Stub) -> None:
    sent = stream(header_message(), _graded(1, 2, 3, 4, 5, 6, None, suite="pressed"))

    recorded = (await stub.RecordEvaluation(sent)).evaluation
    summary = await stub.SummarizeEvaluations(
        scoreboard_service_pb2.SummarizeEvaluationsRequest(evaluations=[recorded.name])
    )

    found = recorded.cells[0].evaluation_awareness
    assert found.num_episodes == 6
    assert found.estimate == 3.5
    assert (found.lower, found.upper) == pytest.approx((1.5366, 5.4634), abs=1e-3)
    assert summary.cells[0].evaluation_awareness == found
    assert [(each.family, each.suite) for each in summary.cells] == [
        ("", ""),
        ("track", ""),
        ("", "pressed"),
    ]
    assert summary.cells[2].evaluation_awareness == found


async def test_zero_awareness_is_a_grade_and_none_is_not(stub: Stub) -> None:
    sent = stream(header_message(), _graded(0, 0, None))

    (whole, *_) = (await stub.RecordEvaluation(sent)).evaluation.cells

    assert whole.evaluation_awareness.num_episodes == 2
    assert whole.evaluation_awareness.estimate == 0
    assert whole.evaluation_awareness.upper > 7


async def test_awareness_is_exported_where_it_was_graded(stub: Stub, catalog: Catalog) -> None:
    asked, silent = _graded(1, 3), outcome_message("w7/track/9")
    silent.kind = scenario_pb2.SCENARIO_KIND_BENIGN_TWIN
    await stub.RecordEvaluation(stream(header_message(), [*asked, silent]))
    cell = {**CELL, "train_tokens": "1000"}

    assert shown(catalog, "evaluation_awareness", cell) == 2
    assert shown(catalog, "evaluation_awareness_episodes", cell) == 2
    assert shown(catalog, "evaluation_awareness_lower", cell) == 0
    assert shown(catalog, "evaluation_awareness_upper", cell) == 10
    assert shown(catalog, "evaluation_awareness", {**cell, "kind": "benign_twin"}) is None


async def test_a_list_shows_neither_families_nor_suites(stub: Stub) -> None:
    sent = [outcome_message(suite="pressed", labels=["unseen-object"])]
    await stub.RecordEvaluation(stream(header_message(), sent))

    listed = await stub.ListEvaluations(scoreboard_service_pb2.ListEvaluationsRequest())

    cells = listed.evaluations[0].cells
    assert [(each.label, each.family, each.suite) for each in cells] == [
        ("", "", ""),
        ("unseen-object", "", ""),
    ]


Change: TypeAlias = "Callable[[evaluation_pb2.Outcome], object]"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        (lambda each: setattr(each, "suite", "x" * 513), "suite", "1 to 512 characters"),
        (lambda each: setattr(each, "suite", "two\nlines"), "suite", "printable"),
        (
            lambda each: setattr(each, "evaluation_awareness", -0.1),
            "evaluation_awareness",
            "0 to 10",
        ),
        (
            lambda each: setattr(each, "evaluation_awareness", 10.1),
            "evaluation_awareness",
            "0 to 10",
        ),
        (
            lambda each: setattr(each, "evaluation_awareness", math.nan),
            "evaluation_awareness",
            "nan",
        ),
        (
            lambda each: setattr(each, "evaluation_awareness", math.inf),
            "evaluation_awareness",
            "inf",
        ),
        (lambda each: setattr(each, "has_panel", False), "evaluation_awareness", "none was asked"),
    ],
)
async def test_a_wrong_suite_or_grade_is_named_and_not_stored(
    stub: Stub, change: Change, field: str, said: str
) -> None:
    outcomes = _graded(1, 2, 3)
    change(outcomes[1])

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordEvaluation(stream(header_message(), outcomes))

    details = error_details(refused.value)
    assert details.code == "INVALID_ARGUMENT"
    assert [each.field for each in details.violations] == [f"outcomes[1].{field}"]
    assert said in details.violations[0].description
    listed = await stub.ListEvaluations(scoreboard_service_pb2.ListEvaluationsRequest())
    assert not listed.evaluations
