"""Settings of the dataset room, read from the environment under DATASET_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.servicekit.settings import ServerSettings


class DatasetSettings(ServerSettings):
    """What an operator may set; the grammar author needs nothing beyond the server's own."""

    model_config = SettingsConfigDict(
        env_prefix="DATASET_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    port: int = Field(default=50051, ge=0, le=65535)
    """TCP port of gRPC; 0 lets the system choose."""
    metrics_port: int = Field(default=9101, ge=0, le=65535)
    """TCP port of the Prometheus metrics; 0 lets the system choose."""
