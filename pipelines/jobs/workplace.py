"""What a training order needs on a disk before the program runs, and what becomes of its result."""

from __future__ import annotations

from pathlib import Path

import orjson

from pipelines.jobs.order import TrainingOrder
from pipelines.outputs import Output, files_below
from services.servicekit.storage.port import ObjectStore

SPEC = "spec.json"
"""What the training program reads, in the job's own folder."""

RESULT = "output"
"""What it writes to."""

SUMMARY = "result.json"
"""What it writes last."""


def prepare(order: TrainingOrder, store: ObjectStore, folder: Path) -> None:
    """Copy every input below ``folder`` unless a whole copy is there, and write the spec.

    Raises:
        ObjectNotFound: an input is not published.
        StoredObjectCorrupt: a file of an input differs from its manifest.
        StoreUnavailable: the store does not answer; the same call goes on where it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, prefix in order.folders.items():
        if not (folder / name).exists():
            Output(store=store, prefix=prefix).fetch(folder / name)
    (folder / SPEC).write_bytes(orjson.dumps(order.spec, option=orjson.OPT_INDENT_2))


def publish(
    order: TrainingOrder, store: ObjectStore, folder: Path, *, result: Path | None = None
) -> None:
    """Publish what the program made of ``order``.

    Args:
        order: what was asked for.
        store: where it is published.
        folder: the job's own folder.
        result: what the program wrote to; None: ``output`` in the job's own folder.
    """
    result = result or folder / RESULT
    summary = (result / SUMMARY).read_bytes()
    done = orjson.loads(summary)
    order.published(store).publish(
        kind="checkpoint",
        digest=order.digest,
        parameters=order.parameters,
        inputs=order.inputs,
        counts={"steps": int(done["steps"]), "tokens": int(done["tokens"])},
        files={**files_below(result / "model"), "training.json": summary},
    )
