"""A board on a directory, and the room's service on a port of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from teachwhy.scoreboard.v1 import scoreboard_service_pb2_grpc

from services.scoreboard.archive import Archive
from services.scoreboard.board import Scoreboard
from services.scoreboard.catalog import Catalog
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.evaluation import EvaluationRecord, Header, Outcome
from services.scoreboard.gatekeeper import Gatekeeper
from services.scoreboard.service import ScoreboardService
from services.scoreboard.settings import ScoreboardSettings
from services.servicekit.channel import open_channel
from services.servicekit.server import serving
from services.servicekit.storage.directory import DirectoryStore

Record = Callable[[Header, tuple[Outcome, ...]], EvaluationRecord]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def archive(store: DirectoryStore) -> Archive:
    return Archive(store)


@pytest.fixture
def kept(store: DirectoryStore) -> DecisionArchive:
    return DecisionArchive(store)


@pytest.fixture
def catalog(archive: Archive, kept: DecisionArchive) -> Catalog:
    return Catalog(archive, kept)


@pytest.fixture
def gatekeeper(archive: Archive, kept: DecisionArchive, catalog: Catalog) -> Gatekeeper:
    return Gatekeeper(archive, kept, catalog)


@pytest.fixture
def board(archive: Archive, catalog: Catalog) -> Scoreboard:
    return Scoreboard(archive, catalog, max_outcomes=200_000)


@pytest.fixture
def record(board: Scoreboard) -> Record:
    def record_one(header: Header, outcomes: tuple[Outcome, ...]) -> EvaluationRecord:
        draft = board.draft(header)
        draft.add(outcomes)
        return board.publish(draft)

    return record_one


@pytest.fixture
async def stub(
    board: Scoreboard, gatekeeper: Gatekeeper
) -> AsyncIterator[scoreboard_service_pb2_grpc.ScoreboardServiceAsyncStub]:
    settings = ScoreboardSettings(port=0, metrics_port=0, drain_pause_seconds=0)
    async with (
        serving(settings, services=[ScoreboardService(board, gatekeeper).binding]) as ports,
        open_channel(ports.address) as channel,
    ):
        yield scoreboard_service_pb2_grpc.ScoreboardServiceStub(channel)
