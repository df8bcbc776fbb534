"""Copies checkpoints of an unfinished training into the store, and the newest back.

Each copy is an output of its own: its manifest comes last, so that a copy which was cut off is
never taken for a checkpoint. Knows the folders of checkpoints, not what is in them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipelines.jobs.events import JobLog
from pipelines.jobs.order import TrainingOrder, checkpoints_prefix
from pipelines.outputs import MANIFEST, Output, files_below
from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

MARKER = "complete.json"
"""What the training program writes last into a checkpoint."""

KIND = "unfinished-training"

_FOLDER = "checkpoint-"
_KEPT = 2


class CheckpointMirror:
    """The copies of one order's checkpoints. Every method may raise StoreUnavailable."""

    def __init__(
        self, order: TrainingOrder, store: ObjectStore, folder: Path, result: Path, log: JobLog
    ) -> None:
        """Mirror the checkpoints in ``result``.

        Args:
            order: whose training it is.
            store: where the copies are.
            folder: of the job, on the disk that ``result`` is on.
            result: what the training program writes to.
            log: told what was copied and what was passed over.
        """
        self._order = order
        self._store = store
        self._staging = folder / "mirror"
        self._result = result
        self._log = log
        self._copied = -1

    def restore(self) -> None:
        """Copy the newest whole checkpoint out of the store, unless a newer one is here."""
        for step in sorted(self._stored(), reverse=True):
            if step <= self._newest_here():
                return
            problem = self._restored(step)
            if problem is None:
                self._copied = step
                self._log.event("job.checkpoint_restored", step=step)
                return
            self._log.event("job.checkpoint_ignored", checkpoint=_name(step), reason=problem)

    def copy_newest(self) -> None:
        """Copy the newest whole checkpoint into the store, if it is not there yet.

        Raises:
            OSError: it cannot be read.
        """
        step = self._newest_here()
        if step <= self._copied or not self._pin(step):
            return
        output = self._output(step)
        if output.is_complete() and output.manifest().digest != self._order.digest:
            output.remove()
        if not output.is_complete():
            output.publish(
                kind=KIND,
                digest=self._order.digest,
                parameters={"step": step},
                inputs={},
                counts={},
                files=files_below(self._pinned(step)),
            )
            self._log.event("job.checkpoint_copied", step=step)
        self._copied = step
        shutil.rmtree(self._staging, ignore_errors=True)
        self._forget_older(step)

    def remove(self) -> None:
        """Remove all copies; the training is done."""
        for step in sorted(self._stored()):
            self._output(step).remove()

    def _restored(self, step: int) -> str | None:
        """Fetch a checkpoint; return why it was passed over, or None."""
        output = self._output(step)
        target = self._staging / _name(step)
        shutil.rmtree(target, ignore_errors=True)
        try:
            if output.manifest().digest != self._order.digest:
                return "it belongs to another order"
            output.fetch(target)
        except ObjectNotFound as error:
            is_begun = error.key == output.key(MANIFEST)
            return "it was not copied to the end" if is_begun else str(error)
        except StoredObjectCorrupt as error:
            return str(error)
        self._result.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._result / _name(step), ignore_errors=True)
        target.rename(self._result / _name(step))
        return None

    def _pin(self, step: int) -> bool:
        """Link the checkpoint's files, since the program removes it when there are newer ones.

        Returns:
            False where it was removed meanwhile.
        """
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        try:
            shutil.copytree(self._result / _name(step), self._pinned(step), copy_function=os.link)
        except (FileNotFoundError, shutil.Error):
            if (self._result / _name(step) / MARKER).exists():
                raise
            return False
        return (self._pinned(step) / MARKER).exists()

    def _forget_older(self, newest: int) -> None:
        older = [step for step in sorted(self._stored(), reverse=True) if step <= newest]
        kept = [step for step in older if self._output(step).is_complete()][:_KEPT]
        for step in set(older) - set(kept):
            self._output(step).remove()

    def _newest_here(self) -> int:
        """Step of the newest whole checkpoint on the disk, -1 if there is none."""
        found = (_step(path.parent.name) for path in self._result.glob(f"{_FOLDER}*/{MARKER}"))
        return max((step for step in found if step is not None), default=-1)

    def _stored(self) -> set[int]:
        """Steps of which anything is in the store."""
        prefix = f"{checkpoints_prefix(self._order.name)}/"
        names = (key.removeprefix(prefix).split("/")[0] for key in self._store.keys(prefix))
        return {step for name in names if (step := _step(name)) is not None}

    def _output(self, step: int) -> Output:
        prefix = f"{checkpoints_prefix(self._order.name)}/{_name(step)}"
        return Output(store=self._store, prefix=prefix)

    def _pinned(self, step: int) -> Path:
        return self._staging / _name(step)


def _name(step: int) -> str:
    return f"{_FOLDER}{step}"


def _step(name: str) -> int | None:
    number = name.removeprefix(_FOLDER)
    return int(number) if name.startswith(_FOLDER) and number.isdecimal() else None
