"""Ports of a server process: free or not, and in plain words. Knows no gRPC."""

import errno
import os
import socket
import threading
from collections.abc import Iterable
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from services.servicekit import metrics
from services.servicekit.settings import ServerSettings


class CannotListen(Exception):
    """A port cannot be opened; the message names the address and its setting."""


class MetricsEndpoint:
    """The HTTP port that Prometheus reads, and from which others hear whether calls are welcome.

    It does what prometheus_client.start_http_server does, but closes in 50 ms, not in 500.
    ``/ready`` says what the gRPC health service says, for those that cannot ask it: a kubelet
    speaks no TLS in its gRPC probes.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Open the port; nothing is ready before ``is_ready`` is set.

        Raises:
            CannotListen: the address is in use or not this machine's.
        """
        check_free(settings, "metrics_port", settings.metrics_port)
        self.is_ready = False
        metrics.RPC_READY.set_function(lambda: float(self.is_ready))
        self._metrics = make_wsgi_app()
        kind = _Ipv6Server if ":" in settings.host else ThreadingWSGIServer
        try:
            self._server = make_server(
                settings.host, settings.metrics_port, self._answer, kind, _SilentHandler
            )
        except OSError as error:
            raise cannot_listen(settings, "metrics_port", settings.metrics_port, error) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="metrics", daemon=True
        )
        self._thread.start()

    def _answer(
        self, environment: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if environment["PATH_INFO"] != "/ready":
            text: Iterable[bytes] = self._metrics(environment, start_response)
            return text
        status = "200 OK" if self.is_ready else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [b"serving\n" if self.is_ready else b"not serving\n"]

    def close(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Ipv6Server(ThreadingWSGIServer):
    address_family = socket.AF_INET6


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Say nothing: a scrape every few seconds is no event."""


def address(host: str, port: int) -> str:
    """Join host and port, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_free(settings: ServerSettings, field: str, port: int) -> None:
    """Make sure that a port can be opened; 0 always can.

    gRPC itself reports a taken port as a bare "failed to bind".

    Raises:
        CannotListen: the address is in use or not this machine's.
    """
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        raise cannot_listen(settings, field, port, error) from error


def cannot_listen(settings: ServerSettings, field: str, port: int, error: OSError) -> CannotListen:
    """Say which address cannot be opened, why, and which setting to change."""
    prefix = str(settings.model_config.get("env_prefix") or "").upper()
    if error.errno == errno.EADDRINUSE:
        setting, reason = field, "the address is in use"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        setting, reason = field, "this process may not open it"
    else:
        setting, reason = "host", error.strerror or os.strerror(error.errno or 0)
    where = address(settings.host, port)
    return CannotListen(f"cannot listen on {where} (setting {prefix}{setting.upper()}): {reason}")
