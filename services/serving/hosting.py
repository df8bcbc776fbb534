"""Which checkpoints are in memory, and how they come and go. Knows no HTTP and no model family.

Lives in the event loop and never blocks it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from services.servicekit.errors import ModelUnavailable, ResourceConflict, ResourceNotFound
from services.serving.batching import Lane
from services.serving.checkpoints import check_name
from services.serving.rendering import ChatRenderer

ENDPOINT = "serving"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedModel:
    """A checkpoint in memory."""

    name: str
    renderer: ChatRenderer
    lane: Lane
    loaded_at: int
    """Seconds since 1970."""

    @property
    def context_tokens(self) -> int:
        """Most tokens that a prompt and its reply may have together."""
        return self.lane.engine.context_tokens


class HostObserver(Protocol):
    """Is told what is in memory."""

    def loaded(self, name: str, seconds: float, num_loaded: int) -> None:
        """A checkpoint was loaded in this time."""

    def load_failed(self, name: str, error: BaseException) -> None:
        """A checkpoint was refused."""

    def unloaded(self, name: str, num_loaded: int) -> None:
        """A checkpoint was unloaded."""


class CheckpointHost:
    """The checkpoints that can be asked for replies."""

    def __init__(
        self,
        load_model: Callable[[str], Awaitable[HostedModel]],
        *,
        max_loaded_models: int,
        observer: HostObserver,
        aliases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Host nothing yet.

        Args:
            load_model: brings a checkpoint into memory; raises ServiceError.
            max_loaded_models: loads beyond this number are refused.
            observer: is told what happens.
            aliases: further names under which checkpoints answer, each with its checkpoint's.
        """
        self._load_model = load_model
        self._max_loaded_models = max_loaded_models
        self._observer = observer
        self._aliases = dict(aliases)
        self._models: dict[str, HostedModel] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names under which the loaded checkpoints answer, sorted."""
        further = (name for name, of in self._aliases.items() if of in self._models)
        return tuple(sorted({*self._models, *further}))

    def model(self, name: str) -> HostedModel:
        """Return a loaded checkpoint.

        Raises:
            ModelUnavailable: it is still being loaded.
            ResourceNotFound: it is not loaded.
        """
        checkpoint = name if name in self._models else self._aliases.get(name, name)
        if checkpoint in self._models:
            return self._models[checkpoint]
        if checkpoint in self._loading:
            raise ModelUnavailable(ENDPOINT, name, "it is still being loaded; try again soon")
        raise ResourceNotFound("loaded model", name, known=self.names)

    async def load(self, name: str) -> None:
        """Load a checkpoint; one that is loaded already stays as it is.

        Callers that ask for the same name share one load, which goes on without them.

        Raises:
            ServiceError: the name, the store or the checkpoint is at fault, or there is no room.
        """
        check_name(name)
        if name in self._models:
            return
        if name not in self._loading:
            self._refuse_if_full(name)
            task = asyncio.create_task(self._load(name))
            # Whoever waits is told; nobody waiting is no reason for a warning at exit.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._loading[name] = task
        await asyncio.shield(self._loading[name])

    def unload(self, name: str) -> None:
        """Forget a checkpoint; replies in progress are finished, then its memory is free.

        Raises:
            ResourceConflict: it is still being loaded.
            ResourceNotFound: it is not loaded.
        """
        if name in self._loading:
            raise ResourceConflict("checkpoint", name, "it is still being loaded; try again soon")
        if self._models.pop(name, None) is None:
            raise ResourceNotFound("loaded model", name, known=tuple(self._models))
        self._observer.unloaded(name, len(self._models))

    def _refuse_if_full(self, name: str) -> None:
        if len(self._models) + len(self._loading) >= self._max_loaded_models:
            loaded = ", ".join(sorted(self._models))
            raise ResourceConflict(
                "checkpoint",
                name,
                f"{self._max_loaded_models} checkpoints are loaded or loading, which is the limit "
                f"(setting SERVING_MAX_LOADED_MODELS); unload one of {loaded}",
            )

    async def _load(self, name: str) -> None:
        started = asyncio.get_running_loop().time()
        try:
            self._models[name] = await self._load_model(name)
        except BaseException as error:
            self._observer.load_failed(name, error)
            raise
        finally:
            del self._loading[name]
        seconds = asyncio.get_running_loop().time() - started
        self._observer.loaded(name, seconds, len(self._models))
