"""What the room works with, made from its settings: models, cache, judge, tokenizer and sources.

What costs memory or writes to a disk is made when a request first needs it.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from services.dataset import metrics
from services.dataset.authoring.dataset import Workshop
from services.dataset.authoring.desk import Authors
from services.dataset.authoring.live import LiveAuthors
from services.dataset.grading import Grader
from services.dataset.imported.sources import Sources
from services.dataset.judge_client import JudgeClient
from services.dataset.recipe import Recipe
from services.dataset.settings import DatasetSettings
from services.dataset.spec import LanguageSettings
from services.dataset.tokens import TokenCounter, open_counter
from services.servicekit.cached_chat import CachedChatModel
from services.servicekit.chat import ChatModel, ModelRef, Usage
from services.servicekit.chat_endpoints import EndpointChatModel
from services.servicekit.chat_price import Price
from services.servicekit.digest import digest_of
from services.servicekit.host_watch import HostWatch
from services.servicekit.reply_cache import ReplyCache
from services.servicekit.settings import InvalidSettings
from services.servicekit.spending import MeteredChatModel
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import open_store


class Studio:
    """Enter it before the first request."""

    def __init__(
        self,
        settings: DatasetSettings,
        *,
        model: ChatModel | None = None,
        grader: Grader | None = None,
    ) -> None:
        """Work with what the settings name.

        Args:
            settings: What the operator set.
            model: Answers in place of the endpoints, which keep their names and prices.
            grader: Grades in place of the judge room.
        """
        self._settings = settings
        self._endpoints = EndpointChatModel(settings.endpoints)
        self._variants = {
            name: digest_of(dict(each.extra_body)) if each.extra_body else ""
            for name, each in settings.endpoints.items()
        }
        self._watch = HostWatch(model or self._endpoints, metrics.answer_counter(self._usd_of))
        self.grader = grader
        """The judge room; None where the settings name none."""
        self.sources = Sources(
            settings.sources, self._open_store, settings.cache_folder / "sources"
        )
        self._stack = AsyncExitStack()
        self._making = asyncio.Lock()
        self._store: ObjectStore | None = None
        self._cache: ReplyCache | None = None
        self._counter: TokenCounter | None = None
        self._workshop: Workshop | None = None

    async def __aenter__(self) -> Self:
        """Open the connection pools.

        Raises:
            InvalidSettings: a key file is empty or cannot be read.
        """
        await self._stack.enter_async_context(self._endpoints)
        if self._settings.judge and self.grader is None:
            judge = JudgeClient(self._settings.judge, self._settings.judge_channel)
            self.grader = await self._stack.enter_async_context(judge)
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Write what the cache has not written yet, and close everything."""
        await self._stack.aclose()

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the endpoints in the settings."""
        return tuple(self._settings.endpoints)

    def price_of(self, model: ModelRef) -> Price | None:
        """Return the price list of a model; None where the settings have none."""
        endpoint = self._settings.endpoints.get(model.endpoint)
        return endpoint.price if endpoint else None

    async def cache(self) -> ReplyCache:
        """Return the reply cache.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        async with self._making:
            if self._cache is None:
                store = await asyncio.to_thread(self._open_store)
                folder = self._settings.cache_folder / "replies"
                self._cache = await self._stack.enter_async_context(ReplyCache(store, folder))
            return self._cache

    async def counter(self) -> TokenCounter:
        """Return what counts tokens.

        Raises:
            InvalidSettings: the tokenizer file is none.
        """
        if self._counter is None:
            try:
                self._counter = await asyncio.to_thread(open_counter, self._settings.tokenizer_file)
            except (ValueError, OSError) as error:
                raise InvalidSettings(f"DATASET_TOKENIZER_FILE: {error}") from error
        return self._counter

    async def workshop(self) -> Workshop:
        """Return what all streams of language models write with."""
        if self._workshop is None:
            counter = await self.counter()
            self._workshop = Workshop(
                open_authors=self._open_authors,
                price_of=self.price_of,
                counter=counter,
                gate=asyncio.Semaphore(self._settings.max_concurrency),
                max_concurrency=self._settings.max_concurrency,
            )
        return self._workshop

    async def _open_authors(self, settings: LanguageSettings, recipe: Recipe) -> Authors:
        cache = await self.cache()
        metered = MeteredChatModel(
            self._watch, price_of=self.price_of, limit=settings.spending_limit
        )
        metrics.watch_spending(recipe.name, metered)
        return LiveAuthors(
            CachedChatModel(
                metered, cache, variant_of=lambda model: self._variants.get(model.endpoint, "")
            ),
            paid_model=metered,
            watch=self._watch,
            cache=cache,
            grader=self.grader,
            judge_model=settings.judge_model,
            on_reply=metrics.reply_counter(recipe.name, lambda: metered.spent.calls),
        )

    def _open_store(self) -> ObjectStore:
        if self._store is None:
            self._store = open_store(self._settings.store)
        return self._store

    def _usd_of(self, model: ModelRef, usage: Usage) -> float:
        price = self.price_of(model)
        return price.usd(usage) if price else 0.0
