"""The Kubernetes API as the run needs it: asynchronous, patient, and careful of what is not ours.

A thin layer over the kubernetes client: objects are plain mappings, requests run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kubernetes.client.exceptions import ApiException

from pipelines.cluster.connection import Connection
from pipelines.cluster.credentials import find_credentials
from pipelines.cluster.faults import ClusterRefused, NotOurs
from pipelines.cluster.object_events import ObjectEvent, event_of
from pipelines.cluster.ownership import is_owned, is_same
from pipelines.cluster.patience import refusal
from pipelines.cluster.pod_log import LogPlace, follow
from pipelines.cluster.profile import ClusterProfile

Body = Mapping[str, Any]

_CONFLICT = 409
_NOT_STARTED = 400
"""What a server answers whose container has said nothing yet, since it has not started."""
_OPENING_SECONDS = 20.0
"""How long a server is waited for that was never there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """Names an object."""

    api_version: str
    """Example: "kubeflow.org/v1"; "v1" for the core."""
    kind: str
    plural: str
    name: str = ""
    """Empty: the collection."""

    @property
    def group_path(self) -> str:
        """Path of the group and version."""
        return f"/{'apis' if '/' in self.api_version else 'api'}/{self.api_version}"


class KubernetesApi:
    """The API server of a profile's cluster, for its namespace; an asynchronous context manager.

    Every method asks again while the server throttles or is away, for ``outage_seconds`` of the
    profile at most. Every method raises:

        ClusterRefused: the server refuses; asking again does not help.
        ClusterUnreachable: it was busy or away for too long.
    """

    def __init__(
        self,
        profile: ClusterProfile,
        *,
        kubeconfig: Path | None = None,
        poll_seconds: float = 1.0,
    ) -> None:
        """Know the cluster; nothing is asked yet.

        Args:
            profile: the cluster.
            kubeconfig: its file; None: those of KUBECONFIG, ~/.kube/config, or the pod's account.
            poll_seconds: pause between two looks at something that is waited for.
        """
        self.namespace = profile.namespace
        self._context = profile.context
        self._outage_seconds = profile.outage_seconds
        self._kubeconfig = kubeconfig
        self._poll_seconds = poll_seconds
        self._connection: Connection

    def check_credentials(self) -> None:
        """Say what is missing; asks no server.

        Raises:
            NoClusterCredentials: there are none, or they cannot be used.
        """
        find_credentials(self._context, self._kubeconfig)

    async def __aenter__(self) -> Self:
        """Connect, and see that the server answers and lets the run see its pods.

        Raises:
            NoClusterCredentials: there are none, or they cannot be used.
        """
        configuration = find_credentials(self._context, self._kubeconfig)
        self._connection = Connection(configuration, outage_seconds=self._outage_seconds)
        try:
            await self._connection.ask(
                "GET",
                self._path(self.pod_ref("")),
                what=f"list pods of namespace {self.namespace}",
                query={"limit": "1"},
                outage_seconds=min(_OPENING_SECONDS, self._outage_seconds),
            )
        except BaseException:
            self._connection.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect; nothing in the cluster changes."""
        self._connection.close()

    def named(self, ref: ObjectRef) -> str:
        """Name an object for a message. Example: "PyTorchJob lab/x"."""
        return f"{ref.kind} {self.namespace}/{ref.name}"

    def pod_ref(self, name: str) -> ObjectRef:
        """Name a pod."""
        return ObjectRef(api_version="v1", kind="Pod", plural="pods", name=name)

    async def get(self, ref: ObjectRef) -> Body | None:
        """Return the object, or None if there is none."""
        what = f"get {self.named(ref)}"
        try:
            found: Body = await self._connection.ask_openly("GET", self._path(ref), what=what)
        except ApiException:
            return None
        return found

    async def select(self, ref: ObjectRef, labels: str = "", fields: str = "") -> list[Body]:
        """Return the objects of a collection that fulfil both selectors."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        found = await self._connection.ask(
            "GET",
            self._path(ref),
            what=f"list {ref.plural} of namespace {self.namespace}",
            query={key: value for key, value in query.items() if value},
        )
        # The members of a list do not say what they are.
        kind = {"apiVersion": ref.api_version, "kind": ref.kind}
        return [{**kind, **each} for each in found["items"]]

    async def list_pods(self, labels: str) -> list[Body]:
        """Return the pods with these labels, by name."""
        pods = await self.select(self.pod_ref(""), labels)
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))

    async def apply_owned(self, body: Body, ref: ObjectRef) -> Body:
        """Have this object; return it as it is in the cluster.

        One of ours with the same digest is taken as it is, one of ours with another is replaced.

        Raises:
            NotOurs: something else has the name.
        """
        while True:
            found = await self.get(ref)
            if found is None:
                result = await self._create(body, ref)
            else:
                self._check_ours(found, ref)
                if "deletionTimestamp" in found["metadata"]:
                    await asyncio.sleep(self._poll_seconds)
                    continue
                result = found if is_same(found, body) else await self._replace(found, body, ref)
            if result is not None:
                return result

    async def change_owned(self, ref: ObjectRef, edit: Callable[[Any], Any]) -> Body:
        """Give the object what ``edit`` makes of a copy of it; somebody else's change is kept.

        Raises:
            NotOurs: it is not ours.
            ClusterRefused: there is no such object.
        """
        what = f"change {self.named(ref)}"
        while True:
            found = await self._connection.ask("GET", self._path(ref), what=what)
            self._check_ours(found, ref)
            try:
                changed: Body = await self._connection.ask_openly(
                    "PUT", self._path(ref), what=what, body=edit(found)
                )
            except ApiException as error:
                if error.status != _CONFLICT:  # it has changed meanwhile
                    raise refusal(error, what) from error
            else:
                return changed

    async def delete_owned(self, ref: ObjectRef, *, uid: str = "") -> bool:
        """Delete the object and what belongs to it; return whether there was one.

        Args:
            ref: the object.
            uid: leave another object that has its name alone.

        Raises:
            NotOurs: it is not ours.
        """
        while True:
            found = await self.get(ref)
            if found is None or (uid and found["metadata"]["uid"] != uid):
                return False
            self._check_ours(found, ref)
            options = {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "propagationPolicy": "Background",
                "preconditions": {"uid": found["metadata"]["uid"]},
            }
            what = f"delete {self.named(ref)}"
            try:
                await self._connection.ask_openly(
                    "DELETE", self._path(ref), what=what, body=options
                )
            except ApiException as error:
                if error.status == _CONFLICT:  # another object has the name now
                    continue
            return True

    async def events_of(self, ref: ObjectRef) -> list[ObjectEvent]:
        """Return what the cluster noted about the object, oldest first."""
        events = ObjectRef(api_version="v1", kind="Event", plural="events")
        fields = f"involvedObject.kind={ref.kind},involvedObject.name={ref.name}"
        found = [event_of(each) for each in await self.select(events, fields=fields)]
        return sorted(found, key=lambda event: event.when)

    async def logs(
        self, pod: str, *, container: str = "", lines: int = 100, previous: bool = False
    ) -> str:
        """Return the last lines that a container said; empty if it has not run or is gone."""
        query = {"tailLines": str(lines), "previous": str(previous).lower()}
        if container:
            query["container"] = container
        path = f"{self._path(self.pod_ref(pod))}/log"
        what = f"read the log of Pod {self.namespace}/{pod}"
        try:
            text: str = await self._connection.ask_openly(
                "GET", path, what=what, query=query, is_text=True
            )
        except ApiException:
            return ""
        except ClusterRefused as error:
            if error.status == _NOT_STARTED:
                return ""
            raise
        return text

    def follow_logs(self, pod: str, *, uid: str, container: str) -> AsyncIterator[str]:
        """Yield what a container says from its start on, until its pod is over or gone.

        A stream that is cut goes on behind its last line. A container that is started again in
        the same pod is followed too.
        """
        place = LogPlace(
            uid=uid,
            state=lambda: self.get(self.pod_ref(pod)),
            open=lambda since: self._open_log(pod, container, since),
            poll_seconds=self._poll_seconds,
        )
        return follow(place)

    async def _open_log(self, pod: str, container: str, since: str) -> Any:
        query = {"container": container, "follow": "true", "timestamps": "true"}
        if since:
            query["sinceTime"] = since
        try:
            return await self._connection.ask_openly(
                "GET",
                f"{self._path(self.pod_ref(pod))}/log",
                what=f"follow the log of Pod {self.namespace}/{pod}",
                query=query,
                is_stream=True,
            )
        except ApiException:
            return None
        except ClusterRefused as error:
            if error.status == _NOT_STARTED:
                return None
            raise

    async def _create(self, body: Body, ref: ObjectRef) -> Body | None:
        """Create the object; None if its name was taken meanwhile, perhaps by this request."""
        collection = ObjectRef(api_version=ref.api_version, kind=ref.kind, plural=ref.plural)
        what = f"create {self.named(ref)}"
        try:
            created: Body = await self._connection.ask_openly(
                "POST", self._path(collection), what=what, body=body
            )
        except ApiException as error:
            if error.status != _CONFLICT:
                raise refusal(error, what) from error
            return None
        return created

    async def _replace(self, found: Body, body: Body, ref: ObjectRef) -> Body | None:
        """Replace what was found; None if it changed meanwhile."""
        version = found["metadata"]["resourceVersion"]
        wanted = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        what = f"replace {self.named(ref)}"
        try:
            replaced: Body = await self._connection.ask_openly(
                "PUT", self._path(ref), what=what, body=wanted
            )
        except ApiException:
            return None
        return replaced

    def _check_ours(self, found: Body, ref: ObjectRef) -> None:
        if not is_owned(found):
            raise NotOurs(
                f"{self.named(ref)} is there already and was not made by a run; it is not "
                "touched. Rename what wants its name, or remove it"
            )

    def _path(self, ref: ObjectRef) -> str:
        path = f"{ref.group_path}/namespaces/{self.namespace}/{ref.plural}"
        return f"{path}/{ref.name}" if ref.name else path
