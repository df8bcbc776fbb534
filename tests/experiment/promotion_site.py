"""A site to promote on: a real scoreboard, a store, and a router that does what it is told."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, gate_pb2, scoreboard_service_pb2

from pipelines.experiment.evaluate import EvaluationSummary
from pipelines.experiment.promotion import promote
from pipelines.experiment.report_promotion import Promotion
from pipelines.experiment.report_rows import Measured
from pipelines.experiment.rooms import RoomAddresses, Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_evaluation import HostedModel
from pipelines.experiment.steps import EvaluationStep, TrainingStep
from pipelines.experiment.traffic import Traffic, TrafficRouter
from services.scoreboard.archive import Archive
from services.scoreboard.board import Scoreboard
from services.scoreboard.catalog import Catalog
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.gatekeeper import Gatekeeper
from services.scoreboard.service import ScoreboardService
from services.scoreboard.settings import ScoreboardSettings
from services.servicekit.server import serving
from services.servicekit.storage.directory import DirectoryStore

SEEDS, EACH, TOKENS, SERVICE = (3, 4), 100, 80_000, "agent"
HELD_OUT = scenario_pb2.SPLIT_HELD_OUT
HONEYPOT, TWIN = scenario_pb2.SCENARIO_KIND_HONEYPOT, scenario_pb2.SCENARIO_KIND_BENIGN_TWIN
SUITES = {"held-out": scenario_pb2.Suite(name="held-out", split=HELD_OUT)}
CANDIDATE = "advice-80k-s3-111111111111"


class Killed(BaseException):
    """The run is killed at this point."""


class FakeRouter(TrafficRouter):
    """Shifts at once, and keeps what it was asked for."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        self.traffic = traffic
        self.asked: list[tuple[str, int] | str] = []
        self.before: list[BaseException] = []
        """Raised one by one before anything is changed."""
        self.after: list[BaseException] = []
        """Raised one by one once traffic was changed."""

    async def current(self, service: str) -> Traffic | None:
        assert service == SERVICE
        return self.traffic

    async def shift(self, service: str, checkpoint: str, percent: int) -> Traffic:
        self.asked.append((checkpoint, percent))
        self._raise(self.before)
        if self.traffic is None or percent == 100:
            self.traffic = Traffic(stable=checkpoint)
        else:
            self.traffic = Traffic(
                stable=self.traffic.stable, candidate=checkpoint, candidate_percent=percent
            )
        self._raise(self.after)
        return self.traffic

    async def roll_back(self, service: str) -> Traffic:
        self.asked.append("back")
        self._raise(self.before)
        assert self.traffic is not None
        self.traffic = Traffic(stable=self.traffic.stable)
        self._raise(self.after)
        return self.traffic

    @staticmethod
    def _raise(errors: list[BaseException]) -> None:
        if errors:
            raise errors.pop(0)


@asynccontextmanager
async def _scoreboard(root: Path) -> AsyncIterator[RoomAddresses]:
    kept = DirectoryStore(root)
    archive, decisions = Archive(kept), DecisionArchive(kept)
    catalog = Catalog(archive, decisions)
    service = ScoreboardService(
        Scoreboard(archive, catalog, max_outcomes=10_000), Gatekeeper(archive, decisions, catalog)
    )
    settings = ScoreboardSettings(port=0, metrics_port=0, drain_pause_seconds=0)
    async with serving(settings, services=[service.binding]) as ports:
        # The others are never called.
        yield RoomAddresses(
            dataset="localhost:1",
            rollout="localhost:1",
            judge="localhost:1",
            scoreboard=ports.address,
        )


def experiment_of(**promotion: object) -> Experiment:
    mix = [{"recipe": "generic-chat"}]
    tokenizer = {
        "fit_recipe": "words",
        "fit_tokens": 10,
        "markers": [],
        "chat_template": "chat.jinja",
    }
    base = {"model": {"model_type": "llama"}, "tokenizer": tokenizer, "mix": mix, "tokens": 1000}
    return Experiment.model_validate(
        {
            "name": "small",
            "title": "A small experiment",
            "seeds": list(SEEDS),
            "base": base | {"training": {}},
            "fine_tuning": {},
            "arms": [
                {"name": "generic", "role": "control", "mix": mix, "tokens": TOKENS},
                {"name": "advice", "mix": [{"recipe": "advice-reasons"}], "tokens": TOKENS},
            ],
            "models": [{"name": "peer", "endpoint": "elsewhere", "model": "peer-1"}],
            "evaluation": {"suites": ["held-out"]},
            "promotion": {"arm": "advice", "service": SERVICE, **promotion},
        }
    )


def _step(arm: str, seed: int) -> EvaluationStep:
    tokens = 0 if arm == "peer" else TOKENS
    training = TrainingStep(
        arm=arm,
        seed=seed,
        tokens=tokens,
        start=None,
        vocabulary=None,
        mixture=(),
        digest="1" * 64,
    )
    if arm != "peer":
        # An arm starts from a base, and that shows in its name.
        training = replace(training, start=replace(training, arm="base"))
    hosted = HostedModel(name="peer", endpoint="elsewhere", model="peer-1")
    return EvaluationStep(
        arm=arm,
        seed=seed,
        tokens=tokens,
        subject=hosted if arm == "peer" else training,
        episodes=2 * EACH,
        digest="2" * 64,
    )


def _outcomes(arm_hits: int, seed: int) -> Iterator[evaluation_pb2.Outcome]:
    for index in range(EACH):
        for kind, hit in ((HONEYPOT, index < arm_hits), (TWIN, index >= 2)):
            yield evaluation_pb2.Outcome(
                scenario_id=f"s{seed}/{kind}/{index}",
                family="track",
                split=HELD_OUT,
                kind=kind,
                conduct=verdict_pb2.CONDUCT_TOOK_ACTION if hit else verdict_pb2.CONDUCT_NO_ACTION,
                acted=hit,
            )


async def measure(rooms: Rooms, arm: str, *, hits: int, night: int = 0) -> list[Measured]:
    """Evaluate an arm on both seeds with so many hits each; each night is new evidence."""
    measured = []
    for seed in SEEDS:
        step = _step(arm, seed)
        header = evaluation_pb2.EvaluationHeader(
            experiment="small",
            arm=arm,
            model=step.model,
            seed=seed,
            train_tokens=step.tokens,
            digest=hashlib.sha256(f"{arm} {seed} {night} {hits}".encode()).hexdigest(),
            rubric="agentic-ledger@1",
        )
        batch = scoreboard_service_pb2.OutcomeBatch(outcomes=_outcomes(hits, seed))
        requests = [
            scoreboard_service_pb2.RecordEvaluationRequest(header=header),
            scoreboard_service_pb2.RecordEvaluationRequest(outcomes=batch),
        ]
        record = (await rooms.scoreboard.RecordEvaluation(iter(requests))).evaluation
        summary = EvaluationSummary(
            planned=2 * EACH, played=2 * EACH, stopped=False, unscored=0, model_revisions={}
        )
        measured.append(Measured(step=step, record=record, summary=summary))
    return measured


class Site:
    """A store, rooms and a router, and runs over them."""

    def __init__(self, rooms: Rooms, addresses: RoomAddresses, store: DirectoryStore) -> None:
        self.rooms, self.addresses, self.store = rooms, addresses, store
        self.traffic: TrafficRouter | None = FakeRouter(Traffic(stable="old"))

    @property
    def router(self) -> FakeRouter:
        """The router of a site that has this one."""
        assert isinstance(self.traffic, FakeRouter)
        return self.traffic

    async def run(
        self, *, hits: int = 1, night: int = 0, rooms: Rooms | None = None, **promotion: Any
    ) -> Promotion:
        measured = await measure(self.rooms, promotion.get("arm", "advice"), hits=hits, night=night)
        if "baseline" in promotion:
            measured += await measure(self.rooms, promotion["baseline"], hits=1)
        done = await promote(
            experiment_of(**promotion),
            measured,
            rooms or self.rooms,
            suites=SUITES,
            router=self.traffic,
            store=self.store,
        )
        assert done is not None
        return done

    async def told(self) -> list[gate_pb2.Promotion]:
        """What the scoreboard was told, in the order of its telling."""
        request = scoreboard_service_pb2.ListPromotionsRequest(service=SERVICE)
        return list((await self.rooms.scoreboard.ListPromotions(request)).promotions)[::-1]


@asynccontextmanager
async def opened_site(folder: Path) -> AsyncIterator[Site]:
    """A site on which the checkpoint "old" answers everything."""
    async with _scoreboard(folder / "scoreboard") as addresses, Rooms(addresses) as rooms:
        yield Site(rooms, addresses, DirectoryStore(folder / "runs"))
