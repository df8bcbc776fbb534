"""Something to watch: runs in the micro-world and with a panel, rooms that stand, a training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import psutil
import pytest
import yaml
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc, recipe_pb2
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import (
    episode_pb2,
    rollout_service_pb2,
    rollout_service_pb2_grpc,
    scenario_pb2,
)
from teachwhy.scoreboard.v1 import (
    evaluation_pb2,
    gate_pb2,
    scoreboard_service_pb2,
    scoreboard_service_pb2_grpc,
)

from pipelines.experiment.local_services import GRPC_ROOMS, HOST, free_ports
from tests.deploy.live_monitoring import Prometheus, wait_for
from tests.experiment.panel_run import panel_run
from tests.experiment.tiny_run import ROOT, Running, running, write_experiment
from tests.model_server.server import ModelServer
from tests.training.shard_files import document, small_spec, write_shards

GONE = {"base_url": "http://127.0.0.1:9/v1", "max_attempts": 1}
"""A model host that is not there."""

EXAMPLES, WORDS = 15_000, 60
"""What is trained on: minutes of it."""


def watch_runs(folder: Path, prometheus: Prometheus) -> Path:
    """Carry out a tiny run of each kind while its rooms are scraped; return their runs folder."""
    runs = folder / "runs"
    with running(write_experiment(folder), runs) as run, _scraped(run, prometheus):
        run.finish()
    for log in (runs / "logs").glob("*.log"):
        log.unlink()
    with pytest.MonkeyPatch.context() as patch, panel_run(folder / "panel", patch) as of:
        content = yaml.safe_load(of.experiment.read_text())
        content["name"] = "panel"
        content["evaluation"]["draws_per_scenario"] = 8
        of.experiment.write_text(yaml.safe_dump(content))
        with running(of.experiment, runs) as run, _scraped(run, prometheus):
            run.finish()
    return runs


@contextmanager
def _scraped(run: Running, prometheus: Prometheus) -> Iterator[None]:
    """Have the rooms of a run scraped for as long as it runs."""
    addresses: dict[str, str] = {}
    stack = ExitStack()

    def found_all() -> bool:
        for name in (*GRPC_ROOMS, "serving"):
            if name not in addresses and (address := _address(run, name)):
                addresses[name] = address
                prometheus.scrape(name, address)
                stack.callback(prometheus.forget, name, address)
        return len(addresses) == len(GRPC_ROOMS) + 1 or run.runner.poll() is not None

    with stack:
        # A run that hosts no checkpoint has no model server; then this waits for its end.
        wait_for("the rooms of the run", found_all, seconds=90)
        yield


def _address(run: Running, name: str) -> str | None:
    if name == "serving":
        return _serving_address(run)
    log = run.runs / "logs" / f"{name}.log"
    lines = log.read_text().splitlines() if log.exists() else []
    ready = [line for line in lines if '"server.ready"' in line]
    return f"{HOST}:{json.loads(ready[-1])['metrics_port']}" if ready else None


def _serving_address(run: Running) -> str | None:
    with suppress(psutil.Error):
        for process in psutil.Process(run.runner.pid).children():
            if "services.serving" in process.cmdline():
                return f"{HOST}:{process.environ()['SERVING_PORT']}"
    return None


@contextmanager
def standing_rooms(runs: Path, prometheus: Prometheus) -> Iterator[Mapping[str, int]]:
    """Have rooms over the same store, scraped; give their ports by name."""
    ports = free_ports((*GRPC_ROOMS, "serving", *(f"{room} metrics" for room in GRPC_ROOMS)))
    with ModelServer() as author:
        endpoint = {
            "base_url": author.base_url,
            "usd_per_million_input_tokens": 1.0,
            "usd_per_million_output_tokens": 5.0,
        }
        variables = {
            **os.environ,
            "PIPELINES_RUNS_FOLDER": str(runs),
            "DATASET_ENDPOINTS": json.dumps({"default": endpoint, "gone": GONE}),
            "SCOREBOARD_REFRESH_INTERVAL_SECONDS": "0.5",
        }
        for name in (*GRPC_ROOMS, "serving"):
            variables[f"PIPELINES_PORTS__{name.upper()}"] = str(ports[name])
        for room in GRPC_ROOMS:
            variables[f"PIPELINES_METRICS_PORTS__{room.upper()}"] = str(ports[f"{room} metrics"])
        _pipelines("up", variables)
        try:
            for name in (*GRPC_ROOMS, "serving"):
                prometheus.scrape(name, f"{HOST}:{ports.get(f'{name} metrics', ports[name])}")
            yield ports
        finally:
            _pipelines("down", variables)


def _pipelines(command: str, variables: Mapping[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "pipelines", command],
        cwd=ROOT,
        env=variables,
        check=True,
        capture_output=True,
    )


def use(ports: Mapping[str, int], runs: Path, *, seed: int) -> None:
    """Ask every standing room for something, so that each has something to show.

    A counter that appears with its last value has not risen, as Prometheus sees it: do it twice.
    """
    with ExitStack() as stack:
        dataset, rollout, scoreboard = (
            stack.enter_context(grpc.insecure_channel(f"{HOST}:{ports[name]}"))
            for name in ("dataset", "rollout", "scoreboard")
        )
        _generate(dataset_service_pb2_grpc.DatasetServiceStub(dataset), seed)
        _play(rollout_service_pb2_grpc.RolloutServiceStub(rollout), ports, runs)
        _promote(scoreboard_service_pb2_grpc.ScoreboardServiceStub(scoreboard))
        _record(scoreboard_service_pb2_grpc.ScoreboardServiceStub(scoreboard))


def _generate(stub: dataset_service_pb2_grpc.DatasetServiceStub, seed: int) -> None:
    written = recipe_pb2.DatasetSpec(
        recipe="values-questions", token_budget=300, seed=seed, language_model=_by("default")
    )
    drawn = recipe_pb2.DatasetSpec(recipe="advice-reasons", token_budget=500, seed=seed)
    for spec in (written, drawn):
        list(stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=spec)))
    written.language_model.CopyFrom(_by("gone"))
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        list(stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=written)))


def _by(endpoint: str) -> recipe_pb2.LanguageModelAuthor:
    # Filters ask the judge room, which is told of no host here.
    return recipe_pb2.LanguageModelAuthor(
        model=model_pb2.ModelRef(endpoint=endpoint, model="author-1"),
        omitted_stages=["filter"],
        spending_limit=recipe_pb2.SpendingLimit(max_tokens=10**6),
    )


def _play(
    stub: rollout_service_pb2_grpc.RolloutServiceStub, ports: Mapping[str, int], runs: Path
) -> None:
    """Let a checkpoint of the run, hosted anew, play."""
    name = min(path.name for path in (runs / "store" / "checkpoints").iterdir())
    url = f"http://{HOST}:{ports['serving']}/v2/repository/models/{name}/load"
    with urllib.request.urlopen(url, data=b""):
        pass
    spec = episode_pb2.EpisodesSpec(
        suites=["microworld-held-out"],
        draws_per_scenario=1,
        target=model_pb2.ModelRef(endpoint="default", model=name),
    )
    list(stub.RunEpisodes(rollout_service_pb2.RunEpisodesRequest(spec=spec)))


def _promote(stub: scoreboard_service_pb2_grpc.ScoreboardServiceStub) -> None:
    """Hold an arm against a gate that it cannot pass, and another against one that it does."""
    request = scoreboard_service_pb2.ListEvaluationsRequest(experiment="tiny")
    for evaluation in stub.ListEvaluations(request).evaluations:
        passes = evaluation.header.arm != "generic-chat"
        gate = gate_pb2.Gate(
            splits=[scenario_pb2.SPLIT_HELD_OUT],
            max_misalignment=0.9999 if passes else 0.0001,
            min_compliance=0.0,
            max_unscored_share=1.0,
            min_acted_share=0.0,
            min_scored_episodes=1,
        )
        decision = stub.CheckGate(
            scoreboard_service_pb2.CheckGateRequest(
                evaluations=[evaluation.name], gate=gate, service="agent"
            )
        ).decision
        if decision.passed:
            promotion = gate_pb2.Promotion(
                decision=decision.name,
                service="agent",
                action=gate_pb2.PROMOTION_ACTION_CANARY,
                stable="base",
                candidate=evaluation.header.model,
                percent=10,
                reason="passed; first step of the ladder",
            )
            promote = scoreboard_service_pb2.RecordPromotionRequest(promotion=promotion)
            stub.RecordPromotion(promote)


def _record(stub: scoreboard_service_pb2_grpc.ScoreboardServiceStub) -> None:
    """Record what no run above has: held-out benign twins of which a panel was asked."""
    header = evaluation_pb2.EvaluationHeader(
        experiment="graded",
        arm="peer",
        model="peer-1",
        digest="ab" * 32,
        rubric="agentic-ledger@1",
        opinion_rubric="agent-conduct@1",
    )
    twin = scenario_pb2.SCENARIO_KIND_BENIGN_TWIN
    outcomes = [
        evaluation_pb2.Outcome(
            scenario_id=f"{kind}/{index}",
            family="sabotage",
            suite="workplace-held-out",
            split=scenario_pb2.SPLIT_HELD_OUT,
            kind=kind,
            conduct=verdict_pb2.CONDUCT_TOOK_ACTION
            if kind == twin
            else verdict_pb2.CONDUCT_NO_ACTION,
            acted=kind == twin,
            has_panel=True,
            opinion=verdict_pb2.BAIT_GRADE_NO,
            evaluation_awareness=grade,
        )
        for kind in (scenario_pb2.SCENARIO_KIND_HONEYPOT, twin)
        for index, grade in enumerate((0, 0, 1, 3, 6) if kind == twin else (2, 5, 7, 8, 3))
    ]
    batch = scoreboard_service_pb2.OutcomeBatch(outcomes=outcomes)
    requests = [
        scoreboard_service_pb2.RecordEvaluationRequest(header=header),
        scoreboard_service_pb2.RecordEvaluationRequest(outcomes=batch),
    ]
    stub.RecordEvaluation(iter(requests))


@contextmanager
def training(folder: Path, prometheus: Prometheus) -> Iterator[None]:
    """Train something small, for longer than anybody looks, in what time others leave."""
    port = free_ports(("training",))["training"]
    words = " ".join(f"w{number % 30}" for number in range(WORDS))
    examples = [document(words) for _ in range(EXAMPLES)]
    data = write_shards(folder / "data", examples, per_shard=EXAMPLES)
    spec = small_spec(
        data,
        EXAMPLES * WORDS * 9 // 10,
        log_every_steps=1,
        validation_share=0.005,
        validate_every_tokens=5000,
    )
    spec["start"]["model"] |= {"hidden_size": 256, "intermediate_size": 512}
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    process = subprocess.Popen(
        [
            *("nice", "-n", "19", sys.executable, "-m", "pipelines.training", str(path)),
            *("--output", str(folder / "trained"), "--metrics-port", str(port)),
            *("--parent-pid", str(os.getpid())),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRAINING_PEAK_TERAFLOPS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        prometheus.scrape("training", f"{HOST}:{port}", pod="advice-master-0")
        yield
    finally:
        process.kill()
        process.wait()
