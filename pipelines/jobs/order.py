"""What a training job is asked to do, as an object of the store. Knows no cluster and no torch.

Whoever carries an order out needs the store and a folder: the inputs are copied below the folder,
the training program runs in it, and the result is published under the output's prefix. The same
order carried out twice does the work once.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from pipelines.outputs import Output
from services.servicekit.errors import InvalidField, StoredObjectCorrupt
from services.servicekit.storage.port import ObjectStore, check_key

SCHEMA_VERSION = 1


class TrainingOrder(BaseModel):
    """One run of the training program, from stored inputs to a published checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_version: int = SCHEMA_VERSION
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    """Name of the checkpoint that comes of it; unique in its store, and a DNS label."""
    digest: str
    """Digest of what the checkpoint is a function of."""
    output: str
    """Prefix of the published checkpoint. Example: "checkpoints/<name>"."""
    program: str
    """Digest of the training program that is asked for; another one makes another checkpoint."""
    spec: Mapping[str, JsonValue]
    """A ``pipelines.training.spec.TrainingSpec``; its paths are keys of ``folders``."""
    folders: Mapping[str, str]
    """Folders to make, relative to the job's own, each with the prefix of the output it holds."""
    parameters: Mapping[str, JsonValue]
    """What the manifest says that was asked for."""
    inputs: Mapping[str, str]
    """Digests of the inputs by role, for the manifest."""

    @field_validator("folders")
    @classmethod
    def _lie_below_the_jobs_own(cls, folders: Mapping[str, str]) -> Mapping[str, str]:
        for name in folders:
            try:
                check_key(name)
            except InvalidField as error:
                raise ValueError(f"{name}: is no relative path below the job's folder") from error
        return folders

    def published(self, store: ObjectStore) -> Output:
        """Where the checkpoint is, or will be."""
        return Output(store=store, prefix=self.output)


def order_key(name: str) -> str:
    """Key of the order called ``name``."""
    return f"orders/{name}/order.json"


def checkpoints_prefix(name: str) -> str:
    """Prefix of the copies of unfinished checkpoints of the order called ``name``."""
    return f"orders/{name}/checkpoints"


def write_order(store: ObjectStore, order: TrainingOrder) -> str:
    """Put the order into the store and return its key."""
    key = order_key(order.name)
    store.put(key, order.model_dump_json(indent=2).encode())
    return key


def read_order(store: ObjectStore, key: str) -> TrainingOrder:
    """Read an order.

    Raises:
        ObjectNotFound: there is none under this key.
        StoredObjectCorrupt: it cannot be read as an order.
    """
    try:
        return TrainingOrder.model_validate_json(store.get(key))
    except ValueError as error:
        raise StoredObjectCorrupt(key, f"is no order: {error}") from error
