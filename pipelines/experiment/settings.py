"""Settings of the command line: the only place that reads the environment here."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def inherited_environment() -> dict[str, str]:
    """Return this process's environment, for the processes it starts."""
    return dict(os.environ)


class PipelinesSettings(BaseSettings):
    """Where runs are kept and how much of the machine they use."""

    model_config = SettingsConfigDict(env_prefix="PIPELINES_", frozen=True, extra="forbid")

    runs_folder: Path = Field(
        default=Path("runs"), description="Folder of the store, scratch, logs and reports."
    )
    cores: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1),
        ge=1,
        description="Cores to keep busy; training steps share them out.",
    )
