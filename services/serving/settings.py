"""What the serving process is told by its environment. The only place that reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.servicekit.storage.settings import StoreSettings


class ServingSettings(BaseSettings):
    """Settings of services.serving, read from variables named SERVING_*."""

    model_config = SettingsConfigDict(
        env_prefix="SERVING_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. "0.0.0.0" opens the server to the network."""

    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port of HTTP, /metrics included; 0 lets the system choose, and the log says which."""

    drain_seconds: float = Field(default=10.0, ge=0.0, le=3600.0)
    """Longest time that requests in flight may still take after SIGTERM."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""

    parent_pid: int | None = Field(default=None, ge=1)
    """Stop as soon as this process, which must be the one that started this one, ends (Linux)."""

    store: StoreSettings = Field(default_factory=StoreSettings)
    """Object store that holds checkpoints/<name>/; variables SERVING_STORE__*."""

    cache_folder: Path = Path("var/serving-cache")
    """Local folder into which checkpoints are copied before they are loaded."""

    checkpoints: tuple[str, ...] = ()
    """Names loaded before the server listens, as a JSON list; more can be loaded later."""

    aliases: Mapping[str, str] = Field(default={})
    """Further names of checkpoints, as a JSON object of checkpoint by name: a service keeps its
    name whatever checkpoint answers. Example: {"agent": "arm-s0"}."""

    max_loaded_models: int = Field(default=32, ge=1, le=1000)
    """Loads beyond this number are refused until something is unloaded."""

    dtype: Literal["float64", "float32", "bfloat16"] = "float64"
    """Arithmetic of the models. Only float64 makes replies independent of what shares a batch."""

    torch_threads: int = Field(default=1, ge=1, le=256)
    """Threads inside one matrix product. More only helps large models on quiet machines."""

    max_batch_size: int = Field(default=64, ge=1, le=4096)
    """Most replies of one model that are generated together."""

    max_prefill_tokens: int = Field(default=2048, ge=1)
    """Most prompt tokens, padding included, in one forward pass; a longer prompt runs alone."""

    batch_window_seconds: float = Field(default=0.002, ge=0.0, le=1.0)
    """Time that an idle server waits after a first request for others to join it."""

    max_queued_requests: int = Field(default=1024, ge=1)
    """Requests of one model beyond this number, running ones aside, are answered with 503."""

    max_request_bytes: int = Field(default=2**20, ge=2**10)
    """Largest request body; beyond it the answer is 413."""
