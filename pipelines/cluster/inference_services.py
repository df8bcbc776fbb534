"""InferenceServices of ours: made, awaited until they answer, explained if not, and removed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pipelines.cluster.api import Body, KubernetesApi, ObjectRef
from pipelines.cluster.inference_service import API_VERSION, KIND, PLURAL, POD_LABEL
from pipelines.cluster.ownership import is_owned, is_same
from pipelines.cluster.pod_parts import Json
from pipelines.cluster.serving_status import (
    complaints,
    failing_container,
    is_invalid,
    is_ready,
    pod_lines,
    why_not_starting,
)

_EVENTS = 6
_LOG_LINES = 15


class NeverReady(Exception):
    """An InferenceService does not answer. The message says which, and everything known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How an InferenceService is waited for, in seconds."""

    poll: float = 2.0
    stuck: float = 30.0
    """How long pods may be unable to start before that counts as the end; what passes by itself,
    a registry that does not answer once for example, takes less."""


class InferenceServices:
    """The InferenceServices of a namespace that are ours."""

    def __init__(
        self, api: KubernetesApi, *, ready_seconds: float, waiting: Waiting | None = None
    ) -> None:
        self._api = api
        self._ready_seconds = ready_seconds
        self._waiting = waiting or Waiting()

    def ref(self, name: str = "") -> ObjectRef:
        """Name an InferenceService, or all of them."""
        return ObjectRef(api_version=API_VERSION, kind=KIND, plural=PLURAL, name=name)

    async def get(self, name: str) -> Body | None:
        """Return an InferenceService; None if there is none."""
        return await self._api.get(self.ref(name))

    async def existing(self, name: str) -> Body:
        """Return an InferenceService.

        Raises:
            NeverReady: there is none, though there was one.
        """
        body = await self.get(name)
        if body is None:
            raise NeverReady(f"{self._api.named(self.ref(name))} was deleted by somebody else")
        return body

    async def names(self, labels: str) -> list[str]:
        """Names of those with these labels."""
        return [
            str(each["metadata"]["name"]) for each in await self._api.select(self.ref(), labels)
        ]

    async def change(self, name: str, edit: Callable[[Any], Any]) -> None:
        """Give an InferenceService what ``edit`` makes of it.

        Raises:
            ClusterFault: it is not ours or not there, or the cluster cannot be asked.
        """
        await self._api.change_owned(self.ref(name), edit)

    async def ensure(self, body: Json) -> None:
        """Have this InferenceService answer; one that does so already is left as it is.

        One that was made from other content or for another profile is made anew, since its pods
        would not tell which of the two they are.

        Raises:
            NeverReady: it does not answer; what was made of it is removed again.
            ClusterFault: it is not ours, or the cluster cannot be asked.
        """
        metadata: Any = body["metadata"]
        ref = self.ref(metadata["name"])
        if not await self._is_there(ref, body):
            await self._api.apply_owned(body, ref)
        try:
            await self.until(
                lambda: self._there(ref),
                is_ready,
                late=f"was not ready within {self._ready_seconds:g} s (serving.ready_seconds)",
            )
        except NeverReady:
            await self._api.delete_owned(ref)
            raise

    async def remove(self, name: str) -> None:
        """Remove an InferenceService; one that is not there is no fault.

        Raises:
            ClusterFault: it is not ours, or the cluster cannot be asked.
        """
        await self._api.delete_owned(self.ref(name))

    async def until(
        self,
        look: Callable[[], Awaitable[Body]],
        is_so: Callable[[Body], bool],
        *,
        late: str,
        of_pods: Callable[[Body], str] = lambda _: "",
    ) -> None:
        """Look at an InferenceService until it is so.

        Args:
            look: returns it; raises NeverReady where it is gone.
            is_so: what is waited for.
            late: what is said of it when that takes longer than ``ready_seconds``.
            of_pods: further selector of those of its pods that have to start.

        Raises:
            NeverReady: KServe refuses it, its pods cannot start, or it takes too long.
            ClusterFault: the cluster cannot be asked.
        """
        began = time.monotonic()
        stuck_since = 0.0
        while not is_so(body := await look()):
            ref = self.ref(body["metadata"]["name"])
            now = time.monotonic()
            if is_invalid(body):
                raise NeverReady(await self._explain(ref, body, "is refused by KServe"))
            why = why_not_starting(await self._pods(ref, of_pods(body)))
            stuck_since = (stuck_since or now) if why else 0.0
            if why and now - stuck_since >= self._waiting.stuck:
                raise NeverReady(await self._explain(ref, body, f"cannot start: {why}"))
            if now - began >= self._ready_seconds:
                raise NeverReady(await self._explain(ref, body, late))
            await asyncio.sleep(self._waiting.poll)

    async def _explain(self, ref: ObjectRef, body: Body | None, problem: str) -> str:
        """Say what is known of an InferenceService that does not answer."""
        pods = await self._pods(ref)
        lines = [f"{self._api.named(ref)} {problem}"]
        lines += [f"  {line}" for line in (*complaints(body or {}), *pod_lines(pods))]
        events = await self._api.events_of(ref)
        for pod in pods:
            events += await self._api.events_of(self._api.pod_ref(pod["metadata"]["name"]))
        if events:
            lines += ["  last events:", *(f"    {event}" for event in events[-_EVENTS:])]
        failing = failing_container(pods)
        if failing is not None:
            told = await self._last_words(*failing)
            lines += [f"  last lines of {failing[1]}:", *(f"    {line}" for line in told)]
        return "\n".join(lines)

    async def _last_words(self, pod: str, container: str) -> list[str]:
        """What a container said last; one that was just started again, what it said before."""
        for previous in (False, True):
            log = await self._api.logs(
                pod, container=container, lines=_LOG_LINES, previous=previous
            )
            if told := [line for line in log.splitlines() if line.strip()]:
                return told
        return []

    async def _pods(self, ref: ObjectRef, further: str = "") -> list[Body]:
        selector = f"{POD_LABEL}={ref.name}" + (f",{further}" if further else "")
        pods = await self._api.list_pods(selector)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    async def _is_there(self, ref: ObjectRef, body: Body) -> bool:
        """Whether this is there already; what has its name and other content is removed first."""
        began = time.monotonic()
        while (found := await self._api.get(ref)) is not None:
            if "deletionTimestamp" not in found["metadata"]:
                if is_owned(found) and is_same(found, body):
                    return True
                await self._api.delete_owned(ref)
            if time.monotonic() - began >= self._ready_seconds:
                raise NeverReady(await self._explain(ref, found, "does not go away"))
            await asyncio.sleep(self._waiting.poll)
        return False

    async def _there(self, ref: ObjectRef) -> Body:
        """Return what was made, or say what is left of it."""
        body = await self._api.get(ref)
        if body is None:
            raise NeverReady(await self._explain(ref, body, "was deleted by somebody else"))
        return body
