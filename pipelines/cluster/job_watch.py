"""Watches one PyTorchJob to its end, and says what happened if that is no good one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.cluster.api import KubernetesApi, ObjectRef
from pipelines.cluster.faults import ClusterFault
from pipelines.cluster.job_logs import LAST_WORDS, JobLogs
from pipelines.cluster.job_state import (
    Body,
    Ending,
    conditions,
    endings,
    leaders,
    meta,
    num_alive,
    vanished,
    why_not_starting,
)
from pipelines.cluster.profile import Training
from pipelines.cluster.serving_status import pod_lines
from pipelines.cluster.training_job import JOB_LABEL, needed_pods
from pipelines.experiment.launcher import TrainingProgress
from pipelines.jobs.program import UNUSABLE

_EVENTS = 8
_ENDINGS = 4


class JobFailed(Exception):
    """A job did not come to a good end. The message says everything that is known."""

    def __init__(self, message: str, *, is_alive: bool, advice: str) -> None:
        """Failed; ``is_alive``: the job is still there and would go on."""
        super().__init__(message)
        self.is_alive = is_alive
        self.advice = advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a job is watched, in seconds."""

    poll: float = 3.0
    stuck: float = 45.0
    """How long containers may be unable to start; a registry that does not answer once is no
    reason to give up."""
    farewell: float = 20.0
    """Longest time for what is done at the end: reading the last lines, deleting the job."""


class JobWatch:
    """Watches a job; another one that has its name later is not its business."""

    def __init__(
        self,
        api: KubernetesApi,
        ref: ObjectRef,
        uid: str,
        training: Training,
        *,
        timing: Timing,
        report: Callable[[TrainingProgress], None],
        say: Callable[[str], None],
    ) -> None:
        self._api = api
        self._ref = ref
        self._uid = uid
        self._training = training
        self._timing = timing
        self._say = say
        self._logs = JobLogs(api, report)
        self._endings: dict[tuple[str, int], Ending] = {}
        self._pods: list[Body] = []
        self._known: dict[str, Body] = {}
        self._waiting_since: float | None = time.monotonic()
        self._stuck_since: float | None = None

    async def until_succeeded(self) -> None:
        """Wait for the job's good end.

        Raises:
            JobFailed: it comes to another one, or cannot begin.
            ClusterFault: the cluster cannot be asked.
        """
        async with self._logs:
            while True:
                job = await self._api.get(self._ref)
                if job is None or meta(job)["uid"] != self._uid or "deletionTimestamp" in meta(job):
                    raise await self._failed(
                        job,
                        "was deleted by somebody else",
                        "The same command makes it anew and goes on from its last checkpoint",
                        is_alive=False,
                    )
                await self._look_at_pods()
                if "Succeeded" in conditions(job):
                    await self._logs.finish(self._timing.farewell)
                    return
                await self._check(job)
                await asyncio.sleep(self._timing.poll)

    async def _look_at_pods(self) -> None:
        is_elastic = self._training.elastic is not None
        self._pods = await self._api.list_pods(f"{JOB_LABEL}={self._ref.name}")
        self._logs.follow(leaders(self._pods, is_elastic=is_elastic))
        for ending in endings(self._pods):
            if ending.code != 0:
                self._note(ending)
        for pod in self._pods:
            # A pod that was taken away may be replaced before anybody saw it end.
            name = str(meta(pod)["name"])
            before = self._known.get(name, pod)
            self._known[name] = pod
            uid = meta(before)["uid"]
            if uid != meta(pod)["uid"] and (uid, -1) not in self._endings:
                events = await self._api.events_of(self._api.pod_ref(name))
                self._note(vanished(before, events))

    def _note(self, ending: Ending) -> None:
        """Remember an end, and say it once where the job goes on."""
        key = (ending.uid, ending.run)
        if key in self._endings:
            return
        self._endings[key] = ending
        if ending.code != UNUSABLE:
            self._say(
                f"{self._api.named(self._ref)}: {ending}; the operator starts it again and "
                "training goes on from its last checkpoint"
            )

    async def _check(self, job: Body) -> None:
        """Raise what ends the wait."""
        state = conditions(job)
        if "Failed" in state:
            await self._logs.finish(self._timing.poll)
            raise await self._failed(
                job, f"failed: {state['Failed']}", self._advice(state["Failed"]), is_alive=False
            )
        unusable = [each for each in self._endings.values() if each.code == UNUSABLE]
        if unusable:
            await self._logs.finish(self._timing.poll)
            advice = "Repeating it does not help: mend what it says, then run the same command"
            raise await self._failed(job, "cannot be carried out", advice, is_alive=True)
        now = time.monotonic()
        if why := why_not_starting(self._pods):
            self._stuck_since = self._stuck_since or now
            if now - self._stuck_since >= self._timing.stuck:
                advice = "Mend training.image of the cluster profile, or what the message names"
                raise await self._failed(job, f"cannot start: {why}", advice, is_alive=True)
        else:
            self._stuck_since = None
        await self._check_start(job, now)

    async def _check_start(self, job: Body, now: float) -> None:
        needed = needed_pods(self._training)
        alive = num_alive(self._pods)
        if alive >= needed:
            self._waiting_since = None
            if self._logs.is_waiting:
                self._logs.wait_for("starts")
            return
        is_queued = "Suspended" in conditions(job)
        self._logs.wait_for("is queued" if is_queued else f"{alive} of {needed} pods run")
        self._waiting_since = self._waiting_since or now
        limit = self._training.start_seconds
        if now - self._waiting_since >= limit:
            raise await self._failed(
                job,
                f"has {alive} of {needed} pods running after {limit} s (training.start_seconds)",
                "Free nodes, or ask for less in training.placement of the cluster profile",
                is_alive=True,
            )

    def _advice(self, message: str) -> str:
        again = "The same command makes it anew and goes on from its last checkpoint"
        last = list(self._endings.values())[-1:]
        if any(each.reason == "OOMKilled" for each in last):
            return (
                "It ran out of memory: raise training.placement.memory of the cluster profile. "
                + again
            )
        if "deadline" in message:
            return f"Raise training.deadline_seconds of the cluster profile. {again}"
        return again

    async def _failed(
        self, job: Body | None, problem: str, advice: str, *, is_alive: bool
    ) -> JobFailed:
        lines = [f"{self._api.named(self._ref)} {problem}"]
        lines += [f"  {ending}" for ending in list(self._endings.values())[-_ENDINGS:]]
        lines += [f"  {line}" for line in pod_lines(self._pods)]
        if job is not None:
            lines += [f"  {kind}: {said}" for kind, said in conditions(job).items() if said]
        try:
            lines += await self._told()
        except ClusterFault as error:
            # What went wrong first is what has to be said.
            lines.append(f"  events and logs cannot be read: {error}")
        return JobFailed("\n".join(lines), is_alive=is_alive, advice=advice)

    async def _told(self) -> list[str]:
        """Last events of the job and its pods, and what these said last."""
        events = await self._api.events_of(self._ref)
        for pod in self._pods:
            events += await self._api.events_of(self._api.pod_ref(meta(pod)["name"]))
        told = [event for event in events if event.kind == "Warning"] or events
        lines = ["  last events:", *(f"    {event}" for event in told[-_EVENTS:])] if told else []
        if said := self._logs.last_words or await self._tail():
            lines += ["  it said last:", *(f"    {line}" for line in said)]
        return lines

    async def _tail(self) -> list[str]:
        """Last lines of a pod that nobody followed: a worker, or one that was over at once."""
        ended = {ending.pod for ending in self._endings.values()}
        for pod in self._pods:
            name = str(meta(pod)["name"])
            if name in ended:
                log = await self._api.logs(name, lines=LAST_WORDS)
                if log.strip():
                    return log.splitlines()
        return []
