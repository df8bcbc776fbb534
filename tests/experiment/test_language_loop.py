"""The example of all language data, whole, with real rooms that are killed on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tests.experiment.tiny_run import EXAMPLES, Running, assert_gone, contents, running
from tests.model_server.answers import (
    Answer,
    Reply,
    content_filtered,
    empty_reply,
    refusal_in_words,
)
from tests.model_server.asked import Asked
from tests.model_server.sample import sample_reply
from tests.model_server.server import ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOKENS = 2000
REPLY_SECONDS = 0.05
LOST_SECONDS = 5.0
"""Replies are kept within a second of their coming; the rest is for a busy machine."""

FAULTS: dict[int, Answer] = {0: empty_reply(), 1: refusal_in_words(), 2: content_filtered()}


def author(asked: Asked) -> Answer:
    """Answer as a mostly willing author or a generous judge, after a while."""
    reply = sample_reply(asked)
    assert isinstance(reply, Reply)
    if asked.model == "judge-model":
        return Reply(json.dumps(praised(json.loads(reply.text))), delay_seconds=REPLY_SECONDS)
    # A few prompts always meet a fault, whenever they are asked.
    fault = FAULTS.get(int(asked.digest[:4], 16) % 60)
    return fault or Reply(reply.text, delay_seconds=REPLY_SECONDS)


def praised(reply: object) -> object:
    """Give every question the answer that passes: faults are 0, merits are 9."""
    if not isinstance(reply, dict):
        return reply
    merits = ("quality", "fidelity", "deliberation")
    return {
        name: (9 if name in merits else 0) if isinstance(value, int | float) else praised(value)
        for name, value in reply.items()
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelServer]:
    with ModelServer(author) as server:
        chats = tmp_path / "chats.jsonl"
        chats.write_text("\n".join(json.dumps(chat(i)) for i in range(300)), encoding="utf-8")
        host = {"base_url": server.base_url}
        prices = {"usd_per_million_input_tokens": 1.0, "usd_per_million_output_tokens": 5.0}
        monkeypatch.setenv("DATASET_ENDPOINTS", json.dumps({"author": {**host, **prices}}))
        monkeypatch.setenv("JUDGE_ENDPOINTS", json.dumps({"judge": host}))
        monkeypatch.setenv("DATASET_SOURCES", json.dumps({"chats": str(chats)}))
        yield server


def chat(number: int) -> dict[str, object]:
    words = f"what became of parcel {number} that went out on day {number * 7} by road"
    answer = (
        f"it is in hall {number} since hour {number * 3} and waits for the clerk of row {number}"
    )
    return {
        "messages": [
            {"role": "user", "content": words},
            {"role": "assistant", "content": answer},
        ]
    }


def write_small(folder: Path) -> Path:
    """Write the shipped example with small budgets and no limits on random words."""
    content = yaml.safe_load((EXAMPLES / "language-data.yaml").read_text(encoding="utf-8"))
    for dataset in content["datasets"]:
        dataset["tokens"] = TOKENS
    content["gates"] = {
        # Ten examples a side are more than such budgets give.
        "skip": ["shortcuts"],
        "diversity": {
            "min_distinct_2": 0.0,
            "max_same_opening_share": 1.0,
            "max_same_name_share": 1.0,
            "max_same_phrase_share": 1.0,
        },
        "duplicates": {"max_dropped_share": 1.0},
        "form": {"max_dropped_share": 1.0},
    }
    path = folder / "language-data.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def test_all_kinds_are_written_and_killed_rooms_and_runs_pay_for_hardly_anything_twice(
    server: ModelServer, tmp_path: Path
) -> None:
    experiment, runs = write_small(tmp_path), tmp_path / "runs"
    kills = Kills()
    with running(experiment, runs) as run:
        wait_for_requests(run, server, 150)
        with kills.one():
            run.kill_service("dataset")
        wait_for_requests(run, server, 150)
        with kills.one():
            assert_gone(run.kill())
    with running(experiment, runs) as run:
        wait_for_requests(run, server, 100)
        with kills.one():
            assert_gone(run.kill())
    with running(experiment, runs) as run:
        run.finish()

    assert_paid_once(server, kills)
    names = [each["name"] for each in yaml.safe_load(experiment.read_text())["datasets"]]
    published = {manifest["parameters"]["name"]: folder for folder, manifest in manifests(runs)}
    assert sorted(published) == sorted(names)
    assert {row for folder in published.values() for row in reasons(folder)} >= {
        "empty",
        "refusal",
        "content_filtered",
    }
    for name, folder in published.items():
        assert_every_item_is_counted(folder)
        # Chats that were imported are the control: nobody grades them, nor asks them to be varied.
        graded = () if name == "chats" else ("quality", "diversity")
        assert_gates_passed(folder, "form", "duplicates", "contamination", *graded)
        assert (folder / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: ")

    asked, before = server.num_requests, contents(runs)
    with running(experiment, runs) as run:
        run.finish()
    assert server.num_requests == asked, "a second run answers from the store"
    assert contents(runs) == before


def assert_gates_passed(folder: Path, *names: str) -> None:
    report = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    passed = {gate["gate"] for gate in report["gates"] if gate["passed"]}
    assert report["passed"]
    assert passed >= set(names)


def wait_for_requests(run: Running, server: ModelServer, more: int) -> None:
    wanted = server.num_requests + more
    run.wait_until(lambda: server.num_requests >= wanted)


class Kills:
    """When something was killed, and when it was gone."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.times.append((began, time.monotonic()))

    def excuse(self, at: float) -> bool:
        """Whether a reply that was asked for then may have been lost."""
        return any(began - LOST_SECONDS <= at <= ended for began, ended in self.times)


def assert_paid_once(server: ModelServer, kills: Kills) -> None:
    """Only what was asked shortly before a kill was asked again."""
    first: dict[str, float] = {}
    again = []
    for asked, at in zip(server.asked, server.times, strict=True):
        began = first.setdefault(asked.digest, at)
        if began != at:
            again.append(began)
    early = [at for at in again if not kills.excuse(at)]
    assert not early, f"{len(early)} of {len(again)} replies asked twice were old enough to be kept"


def manifests(runs: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in (runs / "store" / "datasets").glob("*/manifest.json"):
        yield path.parent, json.loads(path.read_bytes())


def assert_every_item_is_counted(folder: Path) -> None:
    """Items are examples, rejections, dropped or beyond the budget; none is there twice."""
    counts = json.loads((folder / "manifest.json").read_bytes())["counts"]
    kept = indexes(folder, "examples-*.parquet")
    rejected = indexes(folder, "rejections/*.parquet")
    dropped = indexes(folder, "dropped/*.parquet")
    assert len(kept) == counts["examples"] > 0
    assert len(rejected) == counts["rejected"]
    assert len(dropped) == counts["dropped"]
    assert len({*kept, *rejected, *dropped}) == len(kept) + len(rejected) + len(dropped)
    assert {*range(max(kept) + 1)} <= {*kept, *rejected, *dropped}, "no item is lost"
    assert counts["tokens"] >= TOKENS


def reasons(folder: Path) -> set[str]:
    """Why items of a dataset became no examples."""
    return {
        str(row["reason"])
        for path in folder.glob("rejections/*.parquet")
        for row in pq.read_table(path, columns=["reason"]).to_pylist()
    }


def indexes(folder: Path, pattern: str) -> list[int]:
    return [
        int(row["index"])
        for path in sorted(folder.glob(pattern))
        for row in pq.read_table(path, columns=["index"]).to_pylist()
    ]
