"""How the process runs, from the environment. What is trained stands in the spec."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrainingSettings(BaseSettings):
    """Read from TRAINING_* variables; flags of the command line come first."""

    model_config = SettingsConfigDict(
        env_prefix="TRAINING_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    parent_pid: int | None = Field(default=None, ge=1)
    """Die with this process, which must be the one that started this one (Linux)."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the Prometheus metrics; none: no metrics."""
    world_size: int = Field(default=1, ge=1, validation_alias="WORLD_SIZE")
    """Processes that train together, as torchrun and PyTorchJob set it; only 1 is allowed."""
    lock_wait_seconds: float = Field(default=20.0, ge=0)
    """How long to wait for a predecessor that still holds the output directory."""
