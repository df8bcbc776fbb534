"""Settings of the judge room, read from the environment under JUDGE_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.servicekit.settings import ServerSettings


class JudgeSettings(ServerSettings):
    """What an operator may set; the ledger layer needs nothing beyond the server's own."""

    model_config = SettingsConfigDict(
        env_prefix="JUDGE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    port: int = Field(default=50053, ge=0, le=65535)
    """TCP port of gRPC; 0 lets the system choose, and the log says which."""

    metrics_port: int = Field(default=9103, ge=0, le=65535)
    """TCP port of the Prometheus endpoint /metrics; 0 lets the system choose."""
