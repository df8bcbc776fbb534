"""Carries training orders out as PyTorchJobs."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable
from typing import Any

from pipelines.cluster.api import KubernetesApi, ObjectRef
from pipelines.cluster.faults import ClusterFault
from pipelines.cluster.job_state import Body, is_finished, meta
from pipelines.cluster.job_watch import JobFailed, JobWatch, Timing
from pipelines.cluster.ownership import is_same
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.training_job import API_VERSION, KIND, PLURAL, job_name, training_job
from pipelines.experiment.launcher import TrainingFailed, TrainingProgress
from pipelines.jobs.order import TrainingOrder, write_order
from services.servicekit.storage.port import ObjectStore

MADE_BY = "teachwhy.dev/launcher"
"""Annotation that says which launcher made a job, so that each removes only its own."""


class PyTorchJobLauncher:
    """A launcher whose jobs go on when this process ends, and are taken up again by the next."""

    def __init__(
        self,
        api: KubernetesApi,
        profile: ClusterProfile,
        store: ObjectStore,
        *,
        timing: Timing | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Carry orders out.

        Args:
            api: the cluster, connected.
            profile: how jobs are run there.
            store: the bucket that its pods see.
            timing: how jobs are watched.
            say: gets a line for what is no failure and ought to be known; None: standard error.
        """
        self._api = api
        self._profile = profile
        self._store = store
        self._timing = timing or Timing()
        self._say = say or _to_standard_error
        self._token = uuid.uuid4().hex

    async def train(self, order: TrainingOrder, report: Callable[[TrainingProgress], None]) -> None:
        """Carry the order out there; a job of the same order that runs already is followed."""
        output = order.published(self._store)
        if await asyncio.to_thread(output.is_complete):
            return
        ref = ObjectRef(api_version=API_VERSION, kind=KIND, plural=PLURAL, name=job_name(order))
        try:
            await asyncio.to_thread(write_order, self._store, order)
            await self._run(order, ref, report)
        except ClusterFault as error:
            raise TrainingFailed(f"training {order.name}: {error}") from error
        if not await asyncio.to_thread(output.is_complete):
            raise TrainingFailed(
                f"training {order.name}: {self._api.named(ref)} succeeded, but {output.prefix} "
                "in the store has no manifest, so its checkpoint is not complete. Do the pods "
                f"write to the same bucket ({self._profile.store.bucket} at "
                f"{self._profile.store.endpoint})? The same command makes the job anew"
            )

    async def _run(
        self, order: TrainingOrder, ref: ObjectRef, report: Callable[[TrainingProgress], None]
    ) -> None:
        body = training_job(order, self._profile)
        body["metadata"].setdefault("annotations", {})[MADE_BY] = self._token
        submission = asyncio.create_task(self._submit(body, ref))
        try:
            # The request may be under way: what it makes has to be known in order to be removed.
            uid = await asyncio.shield(submission)
            watch = JobWatch(
                *(self._api, ref, uid, self._profile.training),
                timing=self._timing,
                report=report,
                say=self._say,
            )
            await watch.until_succeeded()
        except JobFailed as error:
            ending = await self._ending(ref) if error.is_alive else ""
            raise TrainingFailed(
                f"training {order.name}: {error}\n{ending}{error.advice}."
            ) from error
        except asyncio.CancelledError:
            await self._cancel(submission, ref)
            raise

    async def _submit(self, body: Any, ref: ObjectRef) -> str:
        """Have a job that carries the order out; return its uid."""
        while (found := await self._api.get(ref)) is not None:
            if "deletionTimestamp" not in meta(found):
                if is_same(found, body) and not is_finished(found):
                    break
                # It ended, or was made for another profile; its checkpoints are not in it.
                await self._api.delete_owned(ref, uid=meta(found)["uid"])
            await asyncio.sleep(self._timing.poll)
        job = await self._api.apply_owned(body, ref)
        return str(meta(job)["uid"])

    async def _cancel(self, submission: asyncio.Task[str], ref: ObjectRef) -> None:
        """Remove the job, but do not wait for ever."""
        try:
            async with asyncio.timeout(self._timing.farewell):
                await asyncio.wait([submission], timeout=self._timing.farewell / 2)
                await _end(submission)
                if ending := await self._withdraw(ref):
                    self._say(ending.strip())
        except (TimeoutError, ClusterFault) as error:
            self._say(
                f"{self._api.named(ref)} could not be removed ({error or 'no answer'}); it may go "
                "on. The same command takes it up again"
            )
        finally:
            await _end(submission)

    async def _ending(self, ref: ObjectRef) -> str:
        """Remove the job, or say why it is still there."""
        try:
            return await self._withdraw(ref)
        except ClusterFault as error:
            return f"{self._api.named(ref)} could not be removed: {error}. "

    async def _withdraw(self, ref: ObjectRef) -> str:
        """Remove the job if this launcher made it; say what became of it."""
        found = await self._api.get(ref)
        if found is None:
            return ""
        named = self._api.named(ref)
        if not self._is_mine(found):
            return f"{named} was begun by another run and is left as it is. "
        await self._api.delete_owned(ref, uid=meta(found)["uid"])
        return f"{named} was removed. "

    def _is_mine(self, found: Body) -> bool:
        return (meta(found).get("annotations") or {}).get(MADE_BY) == self._token


async def _end(task: asyncio.Task[str]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _to_standard_error(line: str) -> None:
    sys.stderr.write(f"{line}\n")
