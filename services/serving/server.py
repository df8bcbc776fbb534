"""The process: refuses to start in plain words, then serves. Knows no routes."""

import errno
import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

from services.servicekit.errors import ServiceError
from services.servicekit.listening import CannotListen, address
from services.servicekit.logs import configure_logging
from services.servicekit.parent import exit_with_parent
from services.servicekit.storage.settings import open_store
from services.serving.batching import BatchingThread
from services.serving.checkpoints import CheckpointCache
from services.serving.hosting import CheckpointHost
from services.serving.loader import LoadingThread
from services.serving.observing import Observer
from services.serving.settings import ServingSettings

ROOM = "serving"
EXIT_CANNOT_START = 1


def run(settings: ServingSettings) -> NoReturn:
    """Serve until SIGTERM or SIGINT, and end the process.

    Its exit code is 0 after a drain, 1 when the server could not start. The process ends without
    waiting for its loading thread, which may be in the middle of an import or of reading weights.
    """
    code = 0
    configure_logging(settings.log_level, ROOM)
    signal.signal(signal.SIGTERM, _leave)  # until kserve takes over
    try:
        if settings.parent_pid is not None:
            exit_with_parent(settings.parent_pid)
        with _bind(settings) as listener:
            _serve(settings, listener)
    except (CannotListen, ServiceError, OSError) as error:
        sys.stderr.write(f"{ROOM} cannot start: {_plainly(settings, error)}\n")
        code = EXIT_CANNOT_START
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(settings: ServingSettings, listener: socket.socket) -> None:
    cache = CheckpointCache(open_store(settings.store), settings.cache_folder)
    observer = Observer()
    batching = BatchingThread(
        max_batch_size=settings.max_batch_size,
        max_prefill_tokens=settings.max_prefill_tokens,
        max_queued_requests=settings.max_queued_requests,
        window_seconds=settings.batch_window_seconds,
        observer=observer,
    )
    loader = LoadingThread(cache, dtype=settings.dtype, torch_threads=settings.torch_threads)
    host = CheckpointHost(
        loader.load,
        max_loaded_models=settings.max_loaded_models,
        observer=observer,
        aliases=settings.aliases,
    )
    del sys.argv[1:]  # kserve parses them as its own when it is imported
    from services.serving.predictor import Predictor  # noqa: PLC0415 (after the line above)

    predictor = Predictor(settings, host, batching)
    loader.start()
    try:
        predictor.serve(listener)
    finally:
        batching.stop()


def _bind(settings: ServingSettings) -> socket.socket:
    """Bind the port before the slow imports, so that a taken one is known at once.

    Raises:
        OSError: the address is in use or not this machine's.
    """
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    return listener


def _cannot_listen(settings: ServingSettings, error: OSError) -> CannotListen:
    taken = error.errno == errno.EADDRINUSE
    reason = "the address is in use" if taken else error.strerror or str(error)
    where = address(settings.host, settings.port)
    return CannotListen(
        f"cannot listen on {where} (settings SERVING_HOST and SERVING_PORT): {reason}"
    )


def _plainly(settings: ServingSettings, error: Exception) -> Exception:
    # Two servers may have bound a free port at once; the second learns it when it listens.
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return _cannot_listen(settings, error)
    return error


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)  # nothing is in flight yet
