"""Settings of the scoreboard room, read from the environment under SCOREBOARD_."""

import sys

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.servicekit.errors import ServiceError
from services.servicekit.server import EXIT_CANNOT_START
from services.servicekit.settings import ServerSettings
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store


class ScoreboardSettings(ServerSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="SCOREBOARD_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    port: int = Field(default=50054, ge=0, le=65535)
    """Port of the gRPC server; 0 takes a free one."""

    metrics_port: int = Field(default=9104, ge=0, le=65535)
    """Port of the Prometheus metrics; 0 takes a free one."""

    store: StoreSettings = Field(default_factory=StoreSettings)
    """Where evaluations are kept, for example SCOREBOARD_STORE__ROOT=var/store."""

    refresh_interval_seconds: float = Field(default=15.0, gt=0.0, le=3600.0)
    """Time between two listings of the store, by which replicas agree on /metrics."""

    max_outcomes: int = Field(default=1_000_000, ge=1)
    """Most outcomes of one evaluation; they are held in memory while it is sent."""

    max_experiments_exported: int = Field(default=50, ge=1)
    """Most experiments on /metrics, the ones recorded last; the store keeps all."""

    max_experiments_by_family: int = Field(default=5, ge=0)
    """Most of these that are also shown by family and by suite, which doubles their series; 0
    shows none."""


def open_store_or_exit(settings: StoreSettings) -> ObjectStore:
    """Open the store, or say on standard error why it cannot be used and exit with code 1."""
    try:
        return open_store(settings)
    except ServiceError as error:
        sys.stderr.write(f"scoreboard cannot start: {error}\n")
        raise SystemExit(EXIT_CANNOT_START) from None
