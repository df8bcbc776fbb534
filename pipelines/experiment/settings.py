"""Settings of the command line: the only place that reads the environment here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.servicekit.channel import ChannelSettings
from services.servicekit.chat_endpoints import ChatEndpoint
from services.servicekit.storage.settings import StoreSettings

Port = Annotated[int, Field(ge=1, le=65535)]


def inherited_environment() -> dict[str, str]:
    """Return this process's environment, for the processes it starts."""
    return dict(os.environ)


class OperatorEndpoints(BaseSettings):
    """Model hosts that an operator names for the rollout room, read as the room itself reads them.

    The prefix stands in the field's name, since the room's other settings are not ours.
    """

    model_config = SettingsConfigDict(env_nested_delimiter="__", frozen=True, extra="forbid")

    rollout_endpoints: Mapping[str, ChatEndpoint] = Field(
        default={},
        description='Example: {"lab": {"base_url": "https://host/v1", "api_key_file": "/run/key"}}',
    )


class JudgeEndpoints(BaseSettings):
    """The same for the judge room."""

    model_config = SettingsConfigDict(env_nested_delimiter="__", frozen=True, extra="forbid")

    judge_endpoints: Mapping[str, ChatEndpoint] = Field(
        default={},
        description='Example: {"lab": {"base_url": "https://host/v1", "api_key_file": "/run/key"}}',
    )


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
        default=Path("runs"), description="Folder of scratch, logs, reports and, else, the store."
    )
    store: StoreSettings | None = Field(
        default=None,
        description="Where outputs are kept, for example PIPELINES_STORE__KIND=s3; else a "
        "directory in the runs folder.",
    )
    rooms_channel: ChannelSettings = Field(
        default_factory=ChannelSettings,
        description="How installed rooms are reached, for example "
        "PIPELINES_ROOMS_CHANNEL__TOKEN_FILE; those of a cluster profile.",
    )
    cluster_file: Path = Field(
        default=Path("cluster.yaml"),
        description="Cluster profile of `--on cluster`; pipelines/examples has two.",
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
