"""How an order is carried out, from the environment. What is trained stands in the order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.servicekit.storage.settings import StoreSettings


class JobsSettings(BaseSettings):
    """Read from JOBS_* variables, and where a field says so from those of the training operator."""

    model_config = SettingsConfigDict(
        env_prefix="JOBS_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    store: StoreSettings = StoreSettings()
    """Where orders, inputs and results are, for example JOBS_STORE__KIND."""
    folder: Path = Path("job")
    """Folder of this job alone, for inputs and, without ``checkpoint_folder``, checkpoints."""
    checkpoint_folder: Path | None = None
    """Folder that all nodes see and that outlives the pods; each order gets its own below it.
    None: unfinished checkpoints are copied into the store, which only one node can do."""
    mirror_seconds: float = Field(default=120.0, gt=0)
    """Shortest time between two such copies. A node that vanishes loses at most this much, and
    what the program's own checkpoint interval adds."""
    patience_seconds: float = Field(default=600.0, ge=0)
    """How long a store that does not answer is asked again, before inputs and after training."""
    stop_seconds: float = Field(default=60.0, ge=0)
    """How long after SIGTERM the program may write its last checkpoint, where torchrun runs it."""
    processes: int = Field(default=1, ge=1)
    """Processes of this node, where the operator does not say."""

    nodes: str = Field(default="1", validation_alias="PET_NNODES", pattern=r"^\d+(:\d+)?$")
    """Nodes, or the fewest and the most of an elastic training."""
    node_processes: str | None = Field(default=None, validation_alias="PET_NPROC_PER_NODE")
    """Processes of this node: a number, or a word that torchrun understands."""
    node_rank: int = Field(default=0, ge=0, validation_alias=AliasChoices("PET_NODE_RANK", "RANK"))
    """Number of this node; the first one publishes."""
    master_address: str | None = Field(
        default=None, validation_alias=AliasChoices("PET_MASTER_ADDR", "MASTER_ADDR")
    )
    """Where the nodes meet."""
    master_port: str | None = Field(
        default=None, validation_alias=AliasChoices("PET_MASTER_PORT", "MASTER_PORT")
    )
    """Port of the meeting."""

    @model_validator(mode="after")
    def _several_nodes_share_a_folder(self) -> Self:
        if self.nodes not in {"1", "1:1"} and self.checkpoint_folder is None:
            raise ValueError(
                f"checkpoint_folder: a training on {self.nodes} nodes (PET_NNODES) needs a folder "
                "that all of them see"
            )
        return self


def inherited_environment() -> dict[str, str]:
    """Return this process's environment for the program, without our own settings.

    The program knows no store, so it gets no credentials.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
