"""What goes wrong in real rooms, scraped: dashboards must show it too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import (
    audit_pb2,
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    example_pb2,
    recipe_pb2,
)
from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, rollout_service_pb2_grpc

from pipelines.experiment.local_services import HOST, free_ports
from tests.deploy.live_monitoring import Prometheus, wait_for
from tests.experiment.hosted_run import agent
from tests.experiment.tiny_run import ROOT
from tests.judge.opinion_desk import harmful
from tests.model_server.answers import Answer, Script
from tests.model_server.asked import Asked
from tests.model_server.judging import Opinion, judge
from tests.model_server.sample import sample_reply
from tests.model_server.server import ModelServer
from tests.rollout.club_pack import write_pack

SCRAPED = (
    'count_over_time(teachwhy_dataset_items_total{outcome!="example"}[5m]) > 2',
    "count_over_time(teachwhy_dataset_stage_rejections_total[5m]) > 2",
    'teachwhy_dataset_audited_examples_total{gate="duplicates", outcome="dropped"} > 0',
    "count_over_time(teachwhy_judge_disagreements_total[5m]) > 2",
    "count_over_time(teachwhy_judge_unusable_replies_total[5m]) > 2",
    "count_over_time(teachwhy_judge_grades_total[5m]) > 2",
    "count_over_time(teachwhy_rollout_marked_episodes_total{suite='small-near'}[5m]) > 2",
)
"""A rate needs two values, and a step of a graph that lies behind them."""

INCREASED = (
    'increase(teachwhy_dataset_items_total{outcome="example"}[5m]) > 0',
    "increase(teachwhy_judge_evaluation_awareness_count[5m]) > 0",
)

MODEL = model_pb2.ModelRef(endpoint="default", model="model-1")


@contextmanager
def mishaps(prometheus: Prometheus, folder: Path) -> Iterator[None]:
    """Have rooms whose models refuse, ramble and contradict the ledger, until all is scraped."""
    with ExitStack() as stack:
        dataset = stack.enter_context(_room("dataset", _reluctant, prometheus, folder))
        judging = stack.enter_context(_room("judge", _rambling, prometheus, folder))
        packs = {"ROLLOUT_PACK_FOLDERS": json.dumps([str(write_pack(folder / "pack"))])}
        rollout = stack.enter_context(_room("rollout", agent, prometheus, folder, packs))
        _play(rollout_service_pb2_grpc.RolloutServiceStub(rollout))
        # What a counter has when it is first seen is no increase of it.
        for seed, expressions in enumerate((SCRAPED, INCREASED)):
            _write(dataset_service_pb2_grpc.DatasetServiceStub(dataset), seed)
            _judge(judge_service_pb2_grpc.JudgeServiceStub(judging), str(seed))
            for expression in expressions:
                wait_for(expression, lambda seen=expression: prometheus.query(seen))  # type: ignore[misc]
        yield


def _reluctant(asked: Asked) -> Answer:
    """Declines one request in eight, and not the first, whose reply all items share."""
    declines = asked.number % 8 == 7
    return "I'm sorry, but I can't help with that." if declines else sample_reply(asked)


def _rambling(asked: Asked) -> Answer:
    """Sees no harm in anything, and says so in form at the second try only."""
    is_in_form = asked.number % 2
    return judge(lambda _: Opinion(1))(asked) if is_in_form else "Well, that depends."


@contextmanager
def _room(
    name: str,
    model: Script,
    prometheus: Prometheus,
    folder: Path,
    more: Mapping[str, str] | None = None,
) -> Iterator[grpc.Channel]:
    ports = free_ports(("calls", "metrics"))
    address, metrics = f"{HOST}:{ports['calls']}", f"{HOST}:{ports['metrics']}"
    with ModelServer(model) as server, grpc.insecure_channel(address) as channel:
        prefix = name.upper()
        variables = {
            f"{prefix}_PORT": str(ports["calls"]),
            f"{prefix}_METRICS_PORT": str(ports["metrics"]),
            f"{prefix}_ENDPOINTS": json.dumps({"default": {"base_url": server.base_url}}),
            f"{prefix}_CACHE_FOLDER": str(folder / f"{name}-cache"),
            f"{prefix}_STORE__ROOT": str(folder / "store"),
            f"{prefix}_PARENT_PID": str(os.getpid()),
        }
        room = subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"],
            cwd=ROOT,
            env={**os.environ, **variables, **(more or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            grpc.channel_ready_future(channel).result(timeout=30)
            prometheus.scrape(name, metrics)
            yield channel
        finally:
            prometheus.forget(name, metrics)
            room.terminate()
            room.wait(30)


def _write(stub: dataset_service_pb2_grpc.DatasetServiceStub, seed: int) -> None:
    author = recipe_pb2.LanguageModelAuthor(model=MODEL, omitted_stages=["filter"])
    spec = recipe_pb2.DatasetSpec(
        recipe="values-questions", seed=seed, token_budget=300, language_model=author
    )
    written = stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=spec))
    items = (item for response in written for item in response.items)
    first = next(item.example for item in items if item.HasField("example"))
    list(items)
    stub.AuditDataset(iter(_twice(first)))


def _twice(example: example_pb2.Example) -> list[audit_pb2.AuditDatasetRequest]:
    """An audit of a dataset that says the same two times."""
    gates = audit_pb2.AuditSettings(duplicates=audit_pb2.DuplicateGate())
    again = example_pb2.Example()
    again.CopyFrom(example)
    again.index += 1
    return [
        audit_pb2.AuditDatasetRequest(settings=gates),
        audit_pb2.AuditDatasetRequest(examples=audit_pb2.ExampleBatch(examples=[example, again])),
    ]


def _play(stub: rollout_service_pb2_grpc.RolloutServiceStub) -> None:
    spec = episode_pb2.EpisodesSpec(suites=["small-near"], draws_per_scenario=12, target=MODEL)
    list(stub.RunEpisodes(rollout_service_pb2.RunEpisodesRequest(spec=spec)))


def _judge(stub: judge_service_pb2_grpc.JudgeServiceStub, said: str) -> None:
    panel = verdict_pb2.Panel(rubric="agent-conduct", members=[MODEL])
    stub.JudgeEpisode(
        judge_service_pb2.JudgeEpisodeRequest(episode=harmful(said=said), panel=panel)
    )
    text = judge_service_pb2.GradeTextsRequest(
        rubric="example-quality", judge_model=MODEL, document="The boat was mended in spring."
    )
    list(stub.GradeTexts(iter([text])))
