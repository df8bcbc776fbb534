"""Patches by their content type."""

import copy
from collections.abc import Callable
from typing import Any

from tests.cluster.fake_kubernetes.api_objects import ApiFault, Json, Resource

_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_OWN_GROUPS = {"", "apps", "autoscaling", "batch", "policy", "networking.k8s.io"}


def patch(resource: Resource, content_type: str, change: Any) -> Callable[[Json], Json]:
    """Return what the patch makes of an object; custom ones take no strategic patches."""
    if content_type == _MERGE or (content_type == _STRATEGIC and resource.group in _OWN_GROUPS):
        if not isinstance(change, dict):
            raise ApiFault(400, "BadRequest", "a merge patch has to be an object")
        return lambda body: _merged(body, change)
    if content_type == "application/json-patch+json":
        return lambda body: _edited(body, change)
    raise ApiFault(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types: {_MERGE}",
    )


def _merged(body: Any, change: Any) -> Any:
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = dict(body) if isinstance(body, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _edited(body: Json, operations: list[Json]) -> Json:
    for operation in operations:
        *path, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        target: Any = body
        for part in path:
            target = target[int(part)] if isinstance(target, list) else target[part]
        _edit(target, last, operation)
    return body


def _edit(target: Any, key: str, operation: Json) -> None:
    kind = operation["op"]
    place: Any = key
    if isinstance(target, list):
        place = len(target) if key == "-" else int(key)
    try:
        if kind == "test" and target[place] != operation["value"]:
            raise ApiFault(422, "Invalid", f"testing {operation['path']}: values differ")
        if kind == "remove" or (kind == "replace" and not isinstance(target, list)):
            target[place]
    except (KeyError, IndexError):
        raise ApiFault(422, "Invalid", f"{operation['path']}: there is no such value") from None
    if kind == "remove":
        del target[place]
    elif kind == "add" and isinstance(target, list):
        target.insert(place, operation["value"])
    elif kind in ("add", "replace"):
        target[place] = operation["value"]
