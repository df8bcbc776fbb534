"""What a request's path and query ask for."""

import urllib.parse
from dataclasses import dataclass, field

from tests.cluster.fake_kubernetes.api_objects import ApiFault, Resource

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    path: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    query: dict[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """ "METHOD /path?query", which faults are matched with."""
        query = urllib.parse.urlencode(self.query)
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")

    @property
    def verb(self) -> str:
        """The verb that roles allow."""
        if self.method in _VERBS:
            return _VERBS[self.method]
        if self.query.get("watch") in ("1", "true", "True"):
            return "watch"
        return "get" if self.name else "list"


def asked(method: str, target: str) -> Asked:
    """Read a request line.

    Raises:
        ApiFault: 404, there is no such path.
    """
    parts = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(parts.query))
    words = [urllib.parse.unquote(word) for word in parts.path.strip("/").split("/")]
    match words:
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            raise ApiFault(404, "NotFound", "the server could not find the requested resource")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *further = [*rest, "", ""]
    if any(further):
        raise ApiFault(404, "NotFound", "the server could not find the requested resource")
    return Asked(
        method=method,
        path=parts.path,
        resource=Resource(group, version, plural),
        namespace=namespace,
        name=name,
        subresource=subresource,
        query=query,
    )
