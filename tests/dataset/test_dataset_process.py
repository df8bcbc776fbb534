"""The room as a process of its own, started as an operator starts it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import grpc
import psutil
import pytest
from teachwhy.dataset.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    example_pb2,
    recipe_pb2,
)

MAX_IDLE_MIB = 80
MAX_START_SECONDS = 10  # 2 s are the promise; tests share their machine with others


@dataclass(frozen=True)
class Room:
    process: subprocess.Popen[str]
    port: int
    metrics_port: int
    start_seconds: float


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.dataset"],
        env={**os.environ, "DATASET_PORT": "0", "DATASET_METRICS_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = next(line for line in process.stdout if "server.ready" in line)
        ports = json.loads(ready)
        yield Room(process, ports["port"], ports["metrics_port"], time.monotonic() - began)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_it_starts_soon_and_idles_small(room: Room) -> None:
    resident_bytes = psutil.Process(room.process.pid).memory_info().rss

    assert room.start_seconds < MAX_START_SECONDS
    assert resident_bytes < MAX_IDLE_MIB * 2**20


def test_a_client_of_another_process_lists_plans_generates_and_resumes(room: Room) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{room.port}") as channel:
        stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
        recipes = stub.ListRecipes(dataset_service_pb2.ListRecipesRequest()).recipes
        revisions = {recipe.name: recipe.revision for recipe in recipes}
        spec = recipe_pb2.DatasetSpec(
            recipe="admirable-stories",
            seed=7,
            token_budget=50_000,
            microworld=recipe_pb2.MicroworldAuthor(world_seed=7),
        )
        plan = stub.PlanDataset(dataset_service_pb2.PlanDatasetRequest(spec=spec))
        request = dataset_service_pb2.GenerateExamplesRequest(spec=spec)
        whole = _examples(stub.GenerateExamples(request))
        request.resume_from.next_index = 100
        request.resume_from.cumulative_tokens = whole[99].cumulative_tokens
        rest = _examples(stub.GenerateExamples(request))

    assert plan.estimated_examples == pytest.approx(len(whole), rel=0.1)
    assert rest == whole[100:]
    assert {example.lineage.recipe_revision for example in whole} == {
        revisions["admirable-stories"]
    }


def _examples(
    messages: Iterable[dataset_service_pb2.GenerateExamplesResponse],
) -> list[example_pb2.Example]:
    return [item.example for message in messages for item in message.items]


def test_what_was_written_shows_on_the_metrics_port(room: Room) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{room.port}") as channel:
        stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
        spec = recipe_pb2.DatasetSpec(recipe="lexicon", token_budget=1)
        list(stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=spec)))

    with urllib.request.urlopen(f"http://127.0.0.1:{room.metrics_port}/metrics") as response:
        page = response.read().decode()

    assert 'teachwhy_dataset_items_total{outcome="example",recipe="lexicon"} 1.0' in page
    assert 'teachwhy_dataset_tokens_total{recipe="lexicon"}' in page
