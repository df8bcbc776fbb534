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
    """Processes that train together; torchrun sets this and the next three."""
    rank: int = Field(default=0, ge=0, validation_alias="RANK")
    """Number of this process; 0 writes the files, the events and the metrics."""
    local_world_size: int | None = Field(default=None, ge=1, validation_alias="LOCAL_WORLD_SIZE")
    """Processes of this machine; none: all of them."""
    local_rank: int | None = Field(default=None, ge=0, validation_alias="LOCAL_RANK")
    """Number of this process on its machine; none: its number among all."""
    peak_teraflops: float | None = Field(default=None, gt=0)
    """What one device could compute in a second; known, the program reports its share of it."""
    lock_wait_seconds: float = Field(default=20.0, ge=0)
    """How long to wait for a predecessor that still holds the output directory."""
