"""The fake API server: HTTP on loopback over a registry, with faults on demand.

    with ApiServer(registry, logs) as server:
        server.fail(throttled("1"), when="POST .*pytorchjobs", times=2)
        server.disappear(); ...; server.come_back()

It speaks bearer tokens, optimistic locking, watches, patches, logs that are followed, and the
texts and status codes of the real one.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Self

from tests.cluster.fake_kubernetes.api_objects import ApiFault
from tests.cluster.fake_kubernetes.faults import Fault, Faults
from tests.cluster.fake_kubernetes.pod_logs import PodLogs
from tests.cluster.fake_kubernetes.registry import Registry
from tests.cluster.fake_kubernetes.request_handler import RequestHandler
from tests.cluster.fake_kubernetes.requests import Asked

USER = "system:serviceaccount:teachwhy:runner"


class ApiServer:
    """Listens on a port, else of loopback, that stays the same while it is away."""

    def __init__(
        self,
        registry: Registry,
        logs: PodLogs,
        *,
        token: str = "let-me-in",
        host: str = "127.0.0.1",
    ) -> None:
        self.registry = registry
        self.logs = logs
        self.token = token
        self.requests: list[str] = []
        """Every request that arrived, as "METHOD /path?query"."""
        self.failures: list[Exception] = []
        """Faults of the fake itself; the first comes out of the ``with`` block."""
        self._faults = Faults()
        self._forbidden: set[tuple[str, str]] = set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: _Listener | None = None
        self._host = host
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.disappear()
        for failure in self.failures:
            raise failure

    # What a test asks for.

    def fail(self, fault: Fault, *, when: str = "", times: int = 1) -> None:
        """Let the next requests meet the fault; ``times=0`` lets all.

        ``when`` is a regular expression over "METHOD /path?query".
        """
        self._faults.add(fault, when=when, times=times)

    def heal(self) -> None:
        """Forget every fault and everything that is forbidden."""
        self._faults.clear()
        self._forbidden.clear()

    def forbid(self, verb: str, plural: str) -> None:
        """Take a permission away, for example ("create", "pytorchjobs") or ("get", "pods/log")."""
        self._forbidden.add((verb, plural))

    def disappear(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._listener is None:
            return
        self._listener.shutdown()
        self._listener.server_close()
        self._listener = None
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            _hang_up(each)

    def come_back(self) -> None:
        """Listen again, where it listened before."""
        if self._listener is not None:
            return
        self._listener = _Listener((self._host, self._port), RequestHandler, self)
        self._port = int(self._listener.server_address[1])
        threading.Thread(
            target=self._listener.serve_forever, args=(0.02,), name="api-server", daemon=True
        ).start()

    @property
    def is_away(self) -> bool:
        return self._listener is None

    # What the handler asks for.

    def check(self, asked: Asked, authorization: str) -> Fault | None:
        """Refuse a request that nobody may make; return the fault that it meets.

        Raises:
            ApiFault: 401 or 403.
        """
        self.requests.append(asked.line)
        if authorization != f"Bearer {self.token}":
            raise ApiFault(401, "Unauthorized", "Unauthorized")
        plural = "/".join(filter(None, (asked.resource.plural, asked.subresource)))
        if (asked.verb, plural) in self._forbidden:
            raise ApiFault(
                403,
                "Forbidden",
                f'{asked.resource} is forbidden: User "{USER}" cannot {asked.verb} resource '
                f'"{plural}" in API group "{asked.resource.group}" in the namespace '
                f'"{asked.namespace}"',
            )
        return self._faults.met_by(asked.line)

    @contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        """Know of a connection while it lasts."""
        with self._lock:
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[RequestHandler], api: ApiServer
    ) -> None:
        self.api = api
        super().__init__(address, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave clients that hung up alone."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
