"""The kserve ModelServer that hosts checkpoints: its protocols, our host, our socket.

This is the only module that imports kserve. kserve reads sys.argv when it is imported and
listens on all interfaces; both are dealt with here and in server.py, nowhere else.
"""

import asyncio
import socket
import warnings

import orjson
from kserve import Model, ModelRepository, ModelServer
from kserve.model_server import app as kserve_app
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from starlette.requests import Request
from starlette.responses import Response

from services.servicekit.errors import ServiceError
from services.servicekit.listening import address
from services.servicekit.logs import get_logger
from services.serving.batching import BatchingThread
from services.serving.hosting import CheckpointHost
from services.serving.router import OpenAIRouter
from services.serving.settings import ServingSettings

_KEEP_ALIVE_SECONDS = 65
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "DATA_LOSS": 422,
    "UNAVAILABLE": 503,
}


class HostedCheckpoint(Model):  # type: ignore[misc] # kserve has no type information
    """What kserve's own routes know of a checkpoint: its name, and that it is ready."""

    def __init__(self, name: str) -> None:
        """Be ready: only loaded checkpoints are registered."""
        super().__init__(name)
        self.ready = True


class CheckpointRepository(ModelRepositoryExtension):  # type: ignore[misc] # as above
    """KServe's V2 repository API on top of the host.

    kserve's own answers 503 to whatever goes wrong.
    """

    def __init__(self, host: CheckpointHost, registry: ModelRepository) -> None:
        """Keep kserve's registry equal to what the host has loaded."""
        super().__init__(registry)
        self._host = host
        self._registry = registry

    async def load(self, model_name: str) -> None:
        """Load a checkpoint of the store.

        Raises:
            ServiceError: see CheckpointHost.load.
        """
        await self._host.load(model_name)
        self._registry.update(HostedCheckpoint(model_name))

    async def unload(self, model_name: str) -> None:
        """Unload a checkpoint.

        Raises:
            ServiceError: see CheckpointHost.unload.
        """
        self._host.unload(model_name)
        self._registry.models.pop(model_name, None)


class _Rest(RESTServer):  # type: ignore[misc] # as above
    """kserve's REST server on a socket that is bound already."""

    def __init__(self, server: "Predictor", listener: socket.socket) -> None:
        super().__init__(
            "kserve.model_server:app",
            server.dataplane,
            server.model_repository_extension,
            listener.getsockname()[1],
            timeout_keep_alive=server.timeout_keep_alive,
        )
        self.config.timeout_graceful_shutdown = server.settings.drain_seconds
        self._listener = listener

    def _add_middlewares(self, _app: object) -> None:
        """Add none: kserve's times requests for its trace log, ours are in the metrics."""

    async def start(self) -> None:
        self.create_application()
        # The socket listens already: who connects from now on is answered.
        host, port = self._listener.getsockname()[:2]
        get_logger().info("server.ready", address=address(host, port), port=port)
        await self._server.serve(sockets=[self._listener])

    def leave(self) -> None:
        self._server.should_exit = True


class Predictor(ModelServer):  # type: ignore[misc] # as above
    """kserve's server: V1, V2, health, metrics and its lifecycle, and our OpenAI routes."""

    def __init__(
        self, settings: ServingSettings, host: CheckpointHost, batching: BatchingThread
    ) -> None:
        """Put all routes together."""
        # kserve still asks for the response class; nothing an operator could do about it.
        warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
        super().__init__(
            workers=1,
            enable_grpc=False,
            enable_latency_logging=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self.settings = settings
        self._batching = batching
        self.model_repository_extension = CheckpointRepository(host, self.registered_models)
        router = OpenAIRouter(host, batching, max_request_bytes=settings.max_request_bytes)
        router.add_routes(kserve_app)
        kserve_app.add_exception_handler(ServiceError, _answer_service_error)

    def serve(self, listener: socket.socket) -> None:
        """Load the initial checkpoints, then serve until a signal and a drain.

        Raises:
            ServiceError: an initial checkpoint cannot be loaded.
        """
        rest = self._rest_server = _Rest(self, listener)
        with asyncio.Runner(loop_factory=rest.config.get_loop_factory()) as runner:
            runner.run(self._serve_on(rest, listener))

    def stop(self, _signal: int) -> None:
        """End the server; kserve calls this on SIGTERM, SIGINT and SIGQUIT.

        While it serves, uvicorn has signal handlers of its own, drains, and then raises the
        signal once more for this one.
        """
        self._rest_server.leave()

    async def _serve_on(self, rest: _Rest, listener: socket.socket) -> None:
        for name in self.settings.checkpoints:
            await self.model_repository_extension.load(name)
        self._batching.start(asyncio.get_running_loop())
        listener.listen()
        self.register_signal_handler()
        await rest.start()
        get_logger().info("server.stopped")


async def _answer_service_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    status = _HTTP_STATUS.get(error.code, 500)
    return Response(orjson.dumps({"error": error.message}), status, media_type="application/json")
