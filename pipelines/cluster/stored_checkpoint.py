"""What a checkpoint in the store is, as far as whoever serves it must know. Knows no API server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from pipelines.cluster.predictor import Adapter, NotServable
from pipelines.jobs.order import order_key, read_order
from pipelines.model_folder import ADAPTER_FILE
from pipelines.outputs import CHECKPOINTS, Output
from services.servicekit.errors import StoredObjectCorrupt, StoreUnavailable
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

_FOLDER = f"{CHECKPOINTS}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A complete checkpoint."""

    name: str
    digest: str
    """Digest of what it is a function of."""
    adapter: Adapter | None
    """What it needs, if it is an adapter and no whole model."""


LookUp: TypeAlias = Callable[[str], Awaitable[StoredCheckpoint]]
"""Finds a checkpoint by its name; raises NotServable."""


def stored_checkpoint(store: ObjectStore, name: str) -> StoredCheckpoint:
    """Look a checkpoint up.

    Raises:
        NotServable: it is missing, incomplete or unreadable, or the model is unknown that its
            adapter was trained on.
    """
    output = Output(store=store, prefix=f"{_FOLDER}{name}")
    try:
        manifest = output.manifest()
        if ADAPTER_FILE not in manifest.files:
            return StoredCheckpoint(name=name, digest=manifest.digest, adapter=None)
        adapter = Adapter(start=_start(store, name), rank=_rank(output))
        return StoredCheckpoint(name=name, digest=manifest.digest, adapter=adapter)
    except ObjectNotFound as error:
        raise NotServable(
            f"checkpoint {name}: {error}, so it is not completely in the store; the same command "
            "trains and publishes it first"
        ) from error
    except (StoredObjectCorrupt, StoreUnavailable) as error:
        raise NotServable(f"checkpoint {name}: {error}") from error


def _rank(output: Output) -> int:
    """Highest rank of any of the adapter's matrices."""
    content = output.read(ADAPTER_FILE)
    try:
        config = orjson.loads(content)
        return max(int(config["r"]), *map(int, config.get("rank_pattern", {}).values()), 1)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        key = output.key(ADAPTER_FILE)
        raise StoredObjectCorrupt(key, f"has no rank of an adapter: {error!r}") from error


def _start(store: ObjectStore, name: str) -> str:
    """Checkpoint that the adapter was trained on, as the order of its training says."""
    key = order_key(name)
    order = read_order(store, key)
    start = order.spec.get("start")
    path = start.get("path") if isinstance(start, dict) else None
    prefix = order.folders.get(path, "") if isinstance(path, str) else ""
    if not prefix.startswith(_FOLDER):
        raise StoredObjectCorrupt(key, "does not say which checkpoint the training started from")
    return prefix.removeprefix(_FOLDER)
