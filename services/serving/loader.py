"""The one thread that brings checkpoints from the store into memory, one after the other.

It imports torch and transformers, seconds of work, while the server is listening already.
"""

import asyncio
import contextlib
import gc
import threading
from queue import SimpleQueue
from typing import NamedTuple

from services.servicekit.errors import StoredObjectCorrupt
from services.serving.checkpoints import PREFIX, CheckpointCache
from services.serving.hosting import HostedModel


class _Order(NamedTuple):
    name: str
    loop: asyncio.AbstractEventLoop
    model: "asyncio.Future[HostedModel]"


class LoadingThread:
    """Loads what is asked for, in order."""

    def __init__(self, cache: CheckpointCache, *, dtype: str, torch_threads: int) -> None:
        """Copy through `cache`, compute in `dtype`."""
        self._cache = cache
        self._dtype = dtype
        self._torch_threads = torch_threads
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        # A daemon: no exit waits for minutes of reading weights that nobody will use.
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)

    def start(self) -> None:
        """Import the libraries, then load."""
        self._thread.start()

    async def load(self, name: str) -> HostedModel:
        """Fetch, verify and load a checkpoint.

        Raises:
            ServiceError: the name, the store or the checkpoint is at fault.
        """
        loop = asyncio.get_running_loop()
        order = _Order(name, loop, loop.create_future())
        self._orders.put(order)
        return await order.model

    def _run(self) -> None:
        from services.serving import loading  # noqa: PLC0415 (this is the slow part)

        loading.use_threads(self._torch_threads)
        gc.collect()
        gc.freeze()  # modules live as long as the process; collections need not visit them
        while True:
            self._carry_out(self._orders.get())

    def _carry_out(self, order: _Order) -> None:
        try:
            model = self._load(order.name)
        except Exception as error:  # noqa: BLE001 (whoever waits for it decides what it means)
            _answer(order, None, error)
        else:
            _answer(order, model, None)

    def _load(self, name: str) -> HostedModel:
        from services.serving import loading  # noqa: PLC0415 (see _run)

        folder = self._cache.fetch(name)
        try:
            return loading.load_folder(name, folder, dtype=self._dtype)
        except loading.FolderUnusable as error:
            raise StoredObjectCorrupt(f"{PREFIX}/{name}", str(error)) from error


def _answer(order: _Order, model: HostedModel | None, error: Exception | None) -> None:
    def set_result() -> None:
        if order.model.done():  # cancelled: the server is going down
            return
        if model is not None:
            order.model.set_result(model)
        elif error is not None:
            order.model.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop closed, and nobody listens
        order.loop.call_soon_threadsafe(set_result)
