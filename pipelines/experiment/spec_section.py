"""What all parts of an experiment file share. Knows no part."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Lower-case letters, digits and inner "-", at most 63 characters."""

Tokens = Annotated[int, Field(gt=0, le=10**12)]
"""A count of tokens."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole."""


class Section(BaseModel):
    """A part of the file: unknown keys are errors and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelName(Section):
    """A model at an endpoint that a room's settings name."""

    endpoint: Annotated[
        str,
        Field(min_length=1, description="Endpoint in the settings of the room that asks."),
    ]
    name: Annotated[str, Field(min_length=1, description="Model as the endpoint calls it.")]
