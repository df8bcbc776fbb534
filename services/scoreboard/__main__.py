"""Starts the scoreboard room: settings to archive to server."""

import sys
from functools import partial

from prometheus_client import REGISTRY
from teachwhy.scoreboard.v1 import scoreboard_service_pb2, scoreboard_service_pb2_grpc

from services.scoreboard.archive import Archive
from services.scoreboard.board import Scoreboard
from services.scoreboard.catalog import Catalog, CatalogRefresher
from services.scoreboard.metrics import REFRESH_FAILURES, ScoreboardCollector
from services.scoreboard.service import ScoreboardService
from services.scoreboard.settings import ScoreboardSettings, open_store_or_exit
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(ScoreboardSettings)
    archive = Archive(open_store_or_exit(settings.store))
    catalog = Catalog(archive)
    REGISTRY.register(
        ScoreboardCollector(catalog, max_experiments=settings.max_experiments_exported)
    )
    refresher = CatalogRefresher(
        catalog,
        interval_seconds=settings.refresh_interval_seconds,
        on_failure=REFRESH_FAILURES.inc,
    )
    service = ScoreboardService(Scoreboard(archive, catalog, max_outcomes=settings.max_outcomes))
    full_name = scoreboard_service_pb2.DESCRIPTOR.services_by_name["ScoreboardService"].full_name
    add = partial(scoreboard_service_pb2_grpc.add_ScoreboardServiceServicer_to_server, service)
    binding = ServiceBinding(full_name=full_name, add=add)
    return run(settings, room="scoreboard", services=[binding], resources=[refresher])


if __name__ == "__main__":
    sys.exit(main())
