"""What Services and cluster DNS do for clients: leads "/{name}/..." to pods of "{name}-predictor".

    with ModelGateway(cluster) as gateway:
        profile = serving_profile(url=gateway.template)   # http://127.0.0.1:PORT/{model}/openai/v1

Only pods that are ready are asked; without one the answer is 503. The pods must be processes of
this machine (``real_process``).
"""

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.cluster.fake_kubernetes.api_objects import PODS, SERVICES
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.kserve_operator import is_ready_pod
from tests.cluster.fake_kubernetes.registry import is_ending

_SECONDS = 120
_BAD_GATEWAY = 502
_UNAVAILABLE = 503


class ModelGateway:
    """Listens on a port of loopback."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._listener = _Listener(("127.0.0.1", 0), _Handler, self)
        self.asked: list[str] = []
        """Pods that were asked, in order."""

    @property
    def template(self) -> str:
        """Address of a model, as a profile's ``serving.url``."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}/{{model}}/openai/v1"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._listener.serve_forever, args=(0.02,), name="gateway", daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def address(self, name: str) -> str | None:
        """Where a ready pod of the Service "{name}-predictor" listens."""
        service = self._cluster.registry.find(SERVICES, NAMESPACE, f"{name}-predictor")
        if service is None:
            return None
        selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
        port = int(service["spec"]["ports"][0]["targetPort"])
        for pod in self._cluster.registry.select(PODS, NAMESPACE, selector):
            if is_ready_pod(pod) and not is_ending(pod):
                self.asked.append(pod["metadata"]["name"])
                return self._cluster.processes.address(NAMESPACE, pod["metadata"]["name"], port)
        return None


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        gateway: ModelGateway,
    ) -> None:
        self.gateway = gateway
        super().__init__(address, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave clients that hung up alone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        self._forward(None)

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _forward(self, content: bytes | None) -> None:
        name, _, rest = self.path.lstrip("/").partition("/")
        address = self.server.gateway.address(name)
        if address is None:
            self._answer(_UNAVAILABLE, b"no pod is ready", "text/plain")
            return
        kind = self.headers.get("content-type") or "application/json"
        request = urllib.request.Request(
            f"http://{address}/{rest}",
            data=content,
            headers={"content-type": kind},
            method=self.command,
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                found = answer.headers.get("content-type", "application/json")
                self._answer(answer.status, answer.read(), found)
        except urllib.error.HTTPError as error:
            with error:
                self._answer(error.code, error.read(), "application/json")
        except OSError as error:
            self._answer(_BAD_GATEWAY, str(error).encode(), "text/plain")

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
