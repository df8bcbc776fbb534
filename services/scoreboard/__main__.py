"""Starts the scoreboard room: settings to archives to server."""

import sys

from prometheus_client import REGISTRY

from services.scoreboard.archive import Archive
from services.scoreboard.board import Scoreboard
from services.scoreboard.catalog import Catalog, CatalogRefresher
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.gatekeeper import Gatekeeper
from services.scoreboard.metrics import REFRESH_FAILURES, ScoreboardCollector
from services.scoreboard.series import ShownParts
from services.scoreboard.service import ScoreboardService
from services.scoreboard.settings import ScoreboardSettings, open_store_or_exit
from services.servicekit.server import run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(ScoreboardSettings)
    store = open_store_or_exit(settings.store)
    archive, kept = Archive(store), DecisionArchive(store)
    parts = ShownParts(max_experiments=settings.max_experiments_by_family)
    catalog = Catalog(archive, kept, choice=parts)
    collector = ScoreboardCollector(catalog, max_experiments=settings.max_experiments_exported)
    REGISTRY.register(collector)
    refresher = CatalogRefresher(
        catalog,
        interval_seconds=settings.refresh_interval_seconds,
        on_failure=REFRESH_FAILURES.inc,
    )
    board = Scoreboard(archive, catalog, max_outcomes=settings.max_outcomes)
    service = ScoreboardService(board, Gatekeeper(archive, kept, catalog))
    return run(settings, room="scoreboard", services=[service.binding], resources=[refresher])


if __name__ == "__main__":
    sys.exit(main())
