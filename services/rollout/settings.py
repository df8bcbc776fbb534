"""Settings of the rollout room, read from the environment under ROLLOUT_."""

from collections.abc import Mapping

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.servicekit.chat_endpoints import ChatEndpoint
from services.servicekit.settings import ServerSettings


class RolloutSettings(ServerSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="ROLLOUT_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    port: int = Field(default=50052, ge=0, le=65535)
    """TCP port of gRPC; 0 lets the system choose, and the log says which."""

    metrics_port: int = Field(default=9102, ge=0, le=65535)
    """TCP port of the Prometheus endpoint /metrics; 0 lets the system choose."""

    endpoints: Mapping[str, ChatEndpoint] = Field(
        default={"default": ChatEndpoint(base_url="http://127.0.0.1:8080/openai/v1")}
    )
    """Model hosts by the name that requests use, as a JSON object. Example:
    {"default": {"base_url": "http://127.0.0.1:8080/openai/v1"}}."""

    max_concurrency: int = Field(default=64, ge=1, le=10_000)
    """Episodes played at once, over all calls of this process."""
