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

    dataset: Port = Field(default=50051, description="gRPC port of the dataset room.")
    rollout: Port = Field(default=50052, description="gRPC port of the rollout room.")
    judge: Port = Field(default=50053, description="gRPC port of the judge room.")
    scoreboard: Port = Field(default=50054, description="gRPC port of the scoreboard room.")
    serving: Port = Field(default=8080, description="HTTP port of the model server.")


class MetricsPorts(BaseModel):
    """Where the metrics of the gRPC rooms are read; serving has them on its only port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Port = Field(default=9101, description="Metrics port of the dataset room.")
    rollout: Port = Field(default=9102, description="Metrics port of the rollout room.")
    judge: Port = Field(default=9103, description="Metrics port of the judge room.")
    scoreboard: Port = Field(default=9104, description="Metrics port of the scoreboard room.")


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
