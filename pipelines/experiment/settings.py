"""Settings of the command line: the only place that reads the environment here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]


def inherited_environment() -> dict[str, str]:
    """Return this process's environment, for the processes it starts."""
    return dict(os.environ)


class ServicePorts(BaseModel):
    """Where the services listen that outlive a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Port = 50051
    rollout: Port = 50052
    judge: Port = 50053
    scoreboard: Port = 50054
    serving: Port = 8080


class MetricsPorts(BaseModel):
    """Where the metrics of the gRPC rooms are read; serving has them on its only port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Port = 9101
    rollout: Port = 9102
    judge: Port = 9103
    scoreboard: Port = 9104


class PipelinesSettings(BaseSettings):
    """Where runs are kept and how much of the machine they use."""

    model_config = SettingsConfigDict(
        env_prefix="PIPELINES_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    runs_folder: Path = Field(
        default=Path("runs"), description="Folder of the store, scratch, logs and reports."
    )
    cores: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1),
        ge=1,
        description="Cores to keep busy; training steps share them out.",
    )
    ports: ServicePorts = Field(
        default=ServicePorts(), description="Ports of `up`, for example PIPELINES_PORTS__SERVING."
    )
    metrics_ports: MetricsPorts = Field(
        default=MetricsPorts(), description="Ports of the metrics of what `up` starts."
    )
