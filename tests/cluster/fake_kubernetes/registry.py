"""What the fake cluster holds: objects with versions, history, ownership and graceful deletion."""

import copy
import itertools
import threading
import uuid
from collections.abc import Callable

from tests.cluster.fake_kubernetes.api_objects import (
    KINDS,
    NAMESPACES,
    PODS,
    ApiFault,
    Change,
    Json,
    Resource,
    check_body,
    conflict,
    not_found,
    now,
)
from tests.cluster.fake_kubernetes.selectors import fields_match, labels_match

_Key = tuple[Resource, str, str]


class Registry:
    """Objects of any resource; every answer is a copy, every change has a version."""

    def __init__(self, *namespaces: str) -> None:
        self._objects: dict[_Key, Json] = {}
        self._kinds = dict(KINDS)
        self._history: list[Change] = []
        self._oldest = 0
        self._version = 0
        self._serial = itertools.count()
        self._changed = threading.Condition(threading.RLock())
        self.graceful: set[Resource] = set()
        """Resources whose deletion somebody else completes with ``remove``."""
        self.admission: dict[Resource, Callable[[Json], None]] = {}
        """What operators' webhooks refuse, with an ApiFault."""
        for name in namespaces:
            self.create(
                NAMESPACES,
                "",
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            )

    # What a client asks for.

    def create(self, resource: Resource, namespace: str, body: Json) -> Json:
        with self._changed:
            body = copy.deepcopy(body)
            kind = self._kinds.setdefault(resource.plural, str(body.get("kind")))
            check_body(resource, body, kind)
            metadata = body["metadata"]
            if namespace and metadata.get("namespace", namespace) != namespace:
                raise ApiFault(
                    400,
                    "BadRequest",
                    "the namespace of the provided object does not match the namespace sent on "
                    "the request",
                )
            if namespace and (NAMESPACES, "", namespace) not in self._objects:
                raise not_found(NAMESPACES, namespace)
            name = metadata.get("name") or f"{metadata['generateName']}{next(self._serial):05d}"
            if (resource, namespace, name) in self._objects:
                raise ApiFault(409, "AlreadyExists", f'{resource} "{name}" already exists')
            if resource in self.admission:
                self.admission[resource](body)
            body.pop("status", None)
            metadata |= {
                "name": name,
                "uid": str(uuid.uuid4()),
                "creationTimestamp": now(),
                "generation": 1,
            }
            if namespace:
                metadata["namespace"] = namespace
            self._record("ADDED", resource, body)
            self._objects[resource, namespace, name] = body
            return copy.deepcopy(body)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        with self._changed:
            return copy.deepcopy(self._at(resource, namespace, name))

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object, or None."""
        with self._changed:
            return copy.deepcopy(self._objects.get((resource, namespace, name)))

    def select(
        self, resource: Resource, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[Json]:
        """Objects that fulfil both selectors; of every namespace where none is given."""
        with self._changed:
            return [
                copy.deepcopy(body)
                for (kind, space, _), body in sorted(
                    self._objects.items(), key=lambda item: item[0][1:]
                )
                if kind == resource
                and namespace in ("", space)
                and labels_match(labels, body["metadata"].get("labels") or {})
                and fields_match(fields, body)
            ]

    def change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        to: Callable[[Json], Json],
        *,
        status: bool = False,
    ) -> Json:
        """Give the object the value ``to`` makes of it; of the status alone, or of all but it."""
        with self._changed:
            before = self._at(resource, namespace, name)
            wanted = to(copy.deepcopy(before))
            self._check_change(resource, before, wanted)
            after = copy.deepcopy(wanted if not status else before)
            for key, source in (("status", wanted if status else before),):
                after.pop(key, None)
                if key in source:
                    after[key] = copy.deepcopy(source[key])
            metadata = after.setdefault("metadata", {})
            for key in ("uid", "name", "namespace", "creationTimestamp", "deletionTimestamp"):
                if key in before["metadata"]:
                    metadata[key] = before["metadata"][key]
            is_new = _desired(after) != _desired(before)
            metadata["generation"] = before["metadata"]["generation"] + is_new
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
            if after == before:
                return copy.deepcopy(before)
            self._objects[resource, namespace, name] = after
            if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
                if resource not in self.graceful:
                    self._remove((resource, namespace, name))
            else:
                self._record("MODIFIED", resource, after)
            return copy.deepcopy(after)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        grace_seconds: int | None = None,
    ) -> Json:
        """Delete, or begin to where finalizers or somebody's graceful end are waited for."""
        with self._changed:
            body = self._at(resource, namespace, name)
            for key, wanted in (("uid", uid), ("resourceVersion", version)):
                if wanted and body["metadata"][key] != wanted:
                    raise conflict(
                        resource,
                        name,
                        f"the {key} in the precondition ({wanted}) does not match that of the "
                        f"object ({body['metadata'][key]})",
                    )
            if body["metadata"].get("finalizers") or resource in self.graceful:
                if "deletionTimestamp" not in body["metadata"]:
                    grace = (body.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
                    body["metadata"]["deletionTimestamp"] = now()
                    body["metadata"]["deletionGracePeriodSeconds"] = (
                        grace if grace_seconds is None else grace_seconds
                    )
                    self._record("MODIFIED", resource, body)
            else:
                self._remove((resource, namespace, name))
            return copy.deepcopy(body)

    def remove(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Complete a deletion; an object that is gone or another one is left alone."""
        with self._changed:
            body = self._objects.get((resource, namespace, name))
            if body is not None and body["metadata"]["uid"] == uid:
                self._remove((resource, namespace, name))

    # What watches and controllers ask for.

    @property
    def version(self) -> int:
        return self._version

    def changes_after(self, version: int) -> list[Change]:
        """What happened after ``version``.

        Raises:
            ApiFault: 410, the history does not reach back that far.
        """
        with self._changed:
            if version < self._oldest:
                raise ApiFault(
                    410,
                    "Expired",
                    f"too old resource version: {version} ({self._oldest})",
                )
            return [each for each in self._history if each.version > version]

    def wait_beyond(self, version: int, timeout: float) -> int:
        """Wait until something happened after ``version``; return the present version."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version, timeout)
            return self._version

    def nudge(self) -> None:
        """Wake whoever waits for a change, though nothing has changed."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def compact(self) -> None:
        """Forget the history, as etcd does every few minutes."""
        with self._changed:
            self._history.clear()
            self._oldest = self._version

    def _at(self, resource: Resource, namespace: str, name: str) -> Json:
        try:
            return self._objects[resource, namespace, name]
        except KeyError:
            raise not_found(resource, name) from None

    def _check_change(self, resource: Resource, before: Json, wanted: Json) -> None:
        name = before["metadata"]["name"]
        check_body(resource, wanted, self._kinds[resource.plural])
        if wanted["metadata"]["name"] != name:
            raise ApiFault(
                400, "BadRequest", "the name of the object does not match the name on the URL"
            )
        version = wanted["metadata"].get("resourceVersion")
        if version and version != before["metadata"]["resourceVersion"]:
            raise conflict(
                resource,
                name,
                "the object has been modified; please apply your changes to the latest version "
                "and try again",
            )
        uid = wanted["metadata"].get("uid")
        if uid and uid != before["metadata"]["uid"]:
            raise conflict(resource, name, f"Precondition failed: UID in precondition: {uid}")

    def _record(self, kind: str, resource: Resource, body: Json) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self._history.append(Change(self._version, kind, resource, copy.deepcopy(body)))
        self._changed.notify_all()

    def _remove(self, key: _Key) -> None:
        body = self._objects.pop(key)
        self._record("DELETED", key[0], body)
        uid = body["metadata"]["uid"]
        for (resource, namespace, name), each in list(self._objects.items()):
            owners = each["metadata"].get("ownerReferences") or []
            if owners and all(owner["uid"] == uid for owner in owners):
                self.delete(resource, namespace, name)


def _desired(body: Json) -> Json:
    return {key: value for key, value in body.items() if key not in ("metadata", "status")}


def is_ending(body: Json) -> bool:
    """Whether somebody deleted the object already."""
    return "deletionTimestamp" in body["metadata"]


def graceful_pods(registry: Registry) -> None:
    """Let pods end gracefully: somebody plays their kubelet."""
    registry.graceful.add(PODS)
