"""One connection of the fake API server."""

import datetime as dt
import json
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.cluster.fake_kubernetes.api_objects import KINDS, PODS, ApiFault, Json
from tests.cluster.fake_kubernetes.faults import Cut, CutAfter, Fault, Refusal
from tests.cluster.fake_kubernetes.patches import patch
from tests.cluster.fake_kubernetes.pod_logs import stamp
from tests.cluster.fake_kubernetes.requests import Asked, asked
from tests.cluster.fake_kubernetes.selectors import fields_match, labels_match

if TYPE_CHECKING:
    from tests.cluster.fake_kubernetes.api_server import ApiServer

_TRUE = ("1", "true", "True")


class RequestHandler(BaseHTTPRequestHandler):
    """Answers requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self._api: ApiServer = self.server.api  # type: ignore[attr-defined]
        with self._api.connected(self.connection):
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  (the base class's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length) if length else b""
        try:
            request = asked(self.command, self.path)
            fault = self._fault(request)
            if isinstance(fault, Cut) and not fault.is_done:
                self._hang_up()
                return
            self._carry_out(request, content, fault)
        except ApiFault as error:
            self._send(error.status, error.body(), error.headers)
        except OSError:
            self.close_connection = True  # the client hung up
        except Exception as error:
            self._api.failures.append(error)
            raise

    def _fault(self, request: Asked) -> Fault | None:
        fault = self._api.check(request, self.headers.get("Authorization", ""))
        if isinstance(fault, Refusal):
            raise fault.fault()
        return fault

    def _carry_out(self, request: Asked, content: bytes, fault: Fault | None) -> None:
        if request.method == "GET" and request.subresource == "log":
            self._stream("text/plain", self._log(request), fault)
        elif request.verb == "watch":
            self._stream("application/json", self._watch(request), fault)
        else:
            status, body = self._result(request, content)
            if isinstance(fault, Cut):
                self._hang_up()
            else:
                self._send(status, body, {})

    def _result(self, request: Asked, content: bytes) -> tuple[int, Json]:
        registry = self._api.registry
        place = (request.resource, request.namespace)
        match request.method:
            case "POST":
                return 201, registry.create(*place, _json(content))
            case "GET" if request.name:
                return 200, registry.get(*place, request.name)
            case "GET":
                return 200, self._list(request)
            case "PUT" | "PATCH":
                value = _json(content)
                kind = self.headers.get("Content-Type", "")
                to = (
                    patch(request.resource, kind, value)
                    if request.method == "PATCH"
                    else lambda _: value
                )
                is_status = request.subresource == "status"
                return 200, registry.change(*place, request.name, to, status=is_status)
            case _:
                return 200, self._deleted(request, _json(content) if content else {})

    def _deleted(self, request: Asked, options: Json) -> Json:
        conditions = options.get("preconditions") or {}
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self._api.registry.delete(
            request.resource,
            request.namespace,
            request.name,
            uid=conditions.get("uid", ""),
            version=conditions.get("resourceVersion", ""),
            grace_seconds=None if grace is None else int(grace),
        )

    def _list(self, request: Asked) -> Json:
        registry = self._api.registry
        version = str(registry.version)
        items = registry.select(
            request.resource,
            request.namespace,
            request.query.get("labelSelector", ""),
            request.query.get("fieldSelector", ""),
        )
        return {
            "apiVersion": request.resource.api_version,
            "kind": f"{KINDS.get(request.resource.plural, '')}List",
            "metadata": {"resourceVersion": version},
            "items": items,
        }

    def _watch(self, request: Asked) -> Iterator[bytes]:
        registry = self._api.registry
        version = int(request.query.get("resourceVersion") or registry.version)
        until = time.monotonic() + float(request.query.get("timeoutSeconds", 1800))
        while time.monotonic() < until and not self._api.is_away:
            try:
                changes = registry.changes_after(version)
            except ApiFault as error:
                yield _line({"type": "ERROR", "object": error.body()})
                return
            for change in changes:
                version = change.version
                body = change.body
                if (
                    change.resource == request.resource
                    and request.namespace in ("", body["metadata"].get("namespace"))
                    and labels_match(
                        request.query.get("labelSelector", ""), body["metadata"].get("labels") or {}
                    )
                    and fields_match(request.query.get("fieldSelector", ""), body)
                ):
                    yield _line({"type": change.kind, "object": body})
            registry.wait_beyond(version, min(0.2, max(0.0, until - time.monotonic())))

    def _log(self, request: Asked) -> Iterable[bytes]:
        body = self._api.registry.get(PODS, request.namespace, request.name)
        container = request.query.get("container") or body["spec"]["containers"][0]["name"]
        if container not in {each["name"] for each in body["spec"]["containers"]}:
            why = f"container {container} is not valid for pod {request.name}"
            raise ApiFault(400, "BadRequest", why)
        log = self._api.logs.of(
            body["metadata"]["uid"], previous=request.query.get("previous") in _TRUE
        )
        if log is None:
            raise ApiFault(
                400,
                "BadRequest",
                f'container "{container}" in pod "{request.name}" is waiting to start: '
                "ContainerCreating",
            )
        since = 0
        if "sinceTime" in request.query:
            # A kubelet gets whole seconds only.
            moment = dt.datetime.fromisoformat(request.query["sinceTime"])
            since = int(moment.timestamp()) * 10**9
        lines: Iterable[tuple[int, str]] = log.read(
            since_ns=since, follow=request.query.get("follow") in _TRUE
        )
        if "tailLines" in request.query:
            lines = list(lines)[-int(request.query["tailLines"]) :]
        has_stamps = request.query.get("timestamps") in _TRUE
        return _written(lines, has_stamps=has_stamps)

    def _send(self, status: int, body: Json, headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, kind: str, lines: Iterable[bytes], fault: Fault | None) -> None:
        left = fault.lines if isinstance(fault, CutAfter) else -1
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            if self._api.is_away:
                self._hang_up()
                return
            if not line:
                continue
            if left == 0:
                self._hang_up()
                return
            left -= 1
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()


def _written(lines: Iterable[tuple[int, str]], *, has_stamps: bool) -> Iterator[bytes]:
    for time_ns, line in lines:
        if not time_ns:
            yield b""
        else:
            prefix = f"{stamp(time_ns)} " if has_stamps else ""
            yield f"{prefix}{line}\n".encode()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise ApiFault(400, "BadRequest", f"the body is no JSON: {error}") from None


def _line(value: Json) -> bytes:
    return json.dumps(value).encode() + b"\n"
