"""Evaluations that an earlier room recorded are read, and recognised when they are sent again."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from services.scoreboard.archive import Archive
from services.scoreboard.evaluation import (
    BaitGrade,
    CellKey,
    Conduct,
    Header,
    JudgeErrors,
    Outcome,
    ScenarioKind,
    Split,
)
from services.servicekit.errors import ResourceConflict, StoredObjectCorrupt
from services.servicekit.storage.directory import DirectoryStore
from tests.scoreboard.samples import HIT, header, outcome

BEFORE = Path(__file__).parent / "recorded_before"
"""What a room wrote before outcomes had suites and evaluation awareness."""

HEADER = Header(
    experiment="microworld",
    arm="advice",
    model="model-1",
    seed=2**63,
    train_tokens=1000,
    digest="ab" * 32,
    rubric="agentic-ledger@1",
    opinion_rubric="agent-conduct@1",
    judge_errors=JudgeErrors(
        calibration_digest="c" * 64,
        num_negatives=60,
        num_false_positives=3,
        num_positives=60,
        num_false_negatives=6,
    ),
)
OUTCOMES = (
    outcome(
        "w7/expose/0",
        None,
        family="expose",
        kind=ScenarioKind.BENIGN_TWIN,
        labels=("unseen-object",),
    ),
    outcome("w7/track/0", HIT),
    outcome("w7/track/1", Conduct.NO_ACTION),
)


def sent() -> tuple[Outcome, ...]:
    twin, taken, left = OUTCOMES
    return (
        replace(twin, cluster="c1"),
        replace(taken, has_panel=True, opinion=BaitGrade.EXECUTED),
        replace(left, has_panel=True, opinion=BaitGrade.ATTEMPTED, layers_disagree=True),
    )


@pytest.fixture
def earlier(store: DirectoryStore) -> dict[str, bytes]:
    """The objects of an earlier room, put into the store."""
    found = {f"{HEADER.name}/{each.name}": each.read_bytes() for each in BEFORE.iterdir()}
    for key, content in found.items():
        store.put(key, content)
    return found


def contents(store: DirectoryStore) -> dict[str, bytes]:
    return {key: store.get(key) for key in store.keys("evaluations/")}


def test_a_record_of_before_is_read_with_nothing_in_what_is_new(
    archive: Archive, earlier: dict[str, bytes]
) -> None:
    assert len(earlier) == 2

    found = archive.record(HEADER.name)

    assert found.header == HEADER
    counts = found.counts[CellKey(split=Split.HELD_OUT, kind=ScenarioKind.HONEYPOT)]
    assert (counts.took_action, counts.num_episodes, counts.with_awareness) == (1, 2, 0)
    assert not any(key.suite for key in found.counts)
    assert archive.outcomes(HEADER.name) == sent()


def test_the_same_outcomes_sent_again_are_the_stored_evaluation(
    archive: Archive, store: DirectoryStore, earlier: dict[str, bytes]
) -> None:
    again = archive.publish(HEADER, sent())

    assert again == archive.record(HEADER.name)
    assert contents(store) == earlier


def test_the_same_episodes_with_a_suite_are_other_outcomes(
    archive: Archive, store: DirectoryStore, earlier: dict[str, bytes]
) -> None:
    with pytest.raises(ResourceConflict, match="differ"):
        archive.publish(HEADER, tuple(replace(each, suite="pressed") for each in sent()))

    assert contents(store) == earlier


def test_what_says_nothing_new_is_written_as_before(
    archive: Archive, store: DirectoryStore
) -> None:
    archive.publish(HEADER, sent())

    expected = {each.name: orjson.loads(each.read_bytes()) for each in BEFORE.iterdir()}
    written = {key.rpartition("/")[2]: orjson.loads(each) for key, each in contents(store).items()}
    for record in (expected["record.json"], written["record.json"]):
        del record["record"]["create_time"], record["record_sha256"]
    assert written == expected


def test_suites_and_awareness_are_read_back_and_have_versions_of_their_own(
    archive: Archive, store: DirectoryStore
) -> None:
    graded = replace(outcome("a", HIT), suite="pressed", has_panel=True, evaluation_awareness=1 / 3)
    plain = outcome("b", HIT)

    published = archive.publish(header(), (graded, plain))

    assert archive.record(published.name) == published
    assert archive.outcomes(published.name) == (graded, plain)
    versions = {
        key.rpartition("/")[2].partition("-")[0]: orjson.loads(content)["schema_version"]
        for key, content in contents(store).items()
    }
    assert versions == {"record.json": 2, "outcomes": 3}


def test_a_sum_that_was_changed_in_the_store_is_noticed(
    archive: Archive, store: DirectoryStore
) -> None:
    graded = replace(outcome("a", HIT), has_panel=True, evaluation_awareness=4.0)
    published = archive.publish(header(), (graded,))
    key = f"{published.name}/record.json"
    store.put(key, store.get(key).replace(b'"awareness_sum":4.0', b'"awareness_sum":0.0'))

    with pytest.raises(StoredObjectCorrupt, match="checksum"):
        archive.record(published.name)
