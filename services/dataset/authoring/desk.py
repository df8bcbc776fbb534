"""The desk of one stream: everything that the pens of its items share."""

import asyncio
import random
from bisect import bisect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Protocol

from services.dataset.authoring.prompts import Prompt
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.authoring.seeds import seed_of, share_of
from services.dataset.constitution.clauses import Clause, Constitution
from services.dataset.example import Content
from services.dataset.spec import LanguageSettings
from services.servicekit.chat import ChatReply, ChatRequest, ModelRef, Sampling

SHARED_KEPT = 1024
"""Outputs of shared stages that are kept at hand; the reply cache has the others."""

_CLAUSE_ROUNDS_KEPT = 8  # items in work at once lie in one round or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that a stage made, and the reply."""

    stage: str
    prompt_version: str
    request: ChatRequest
    reply: ChatReply
    key: str
    """Of the reply in the cache."""
    is_shared: bool = False
    is_judged: bool = False
    """Whether the judge room answered, which pays for its own models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What a shared stage made, or why it could not."""

    value: object
    """An object of the stage's shape, or an ItemRejected."""
    exchanges: tuple[Exchange, ...]


class Authors(Protocol):
    """Who answers: models through cache and meter, or samples in a dry run."""

    async def reply(self, stage: str, request: ChatRequest) -> ChatReply:
        """Return the reply to the request of a stage.

        Raises:
            ItemRejected: the host cannot answer this request, and answers others.
            ServiceError: the stream cannot go on.
        """
        ...

    def key(self, request: ChatRequest) -> str:
        """Return the key under which the reply is kept."""
        ...

    async def grade(
        self, stage: str, *, rubric: str, content: Content, reference: str
    ) -> tuple[Exchange, Mapping[str, float]]:
        """Return the judge room's grades of a content, by name.

        Raises:
            ItemRejected: there is no grade.
            ServiceError: the stream cannot go on.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is written: a recipe, how, and about what."""

    recipe: LanguageRecipe
    settings: LanguageSettings
    constitution: Constitution
    seed: int
    """Of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """How a stage asks."""

    prompt: Prompt
    target: ModelRef
    temperature: float
    max_output_tokens: int


class Desk:
    """Holds what is the same for all items of a stream; close it when the stream ends."""

    def __init__(self, order: Order, authors: Authors) -> None:
        """Lay out an order for authors."""
        recipe, settings = order.recipe, order.settings
        self.recipe = recipe
        self.constitution: Constitution = order.constitution
        self.seed = seed_of("dataset", recipe.draws or recipe.name, order.seed)
        self.variant = settings.variant or next(iter(recipe.variants), "")
        self.augmentation = settings.augmentation
        self._authors = authors
        self._omitted = frozenset(settings.omitted_stages)
        self._included = frozenset(stage.name for stage in recipe.stages) - self._omitted
        self._asking = _asking(recipe, settings)
        self._shared: dict[tuple[str, ...], asyncio.Task[Shared]] = {}
        self._styles = recipe.styles
        weights = settings.style_weights or dict.fromkeys(recipe.styles, 1.0)
        self._style_bounds = list(accumulate(weights.get(style, 0.0) for style in recipe.styles))
        self._clause_round = lru_cache(_CLAUSE_ROUNDS_KEPT)(self._shuffled_clauses)

    def close(self) -> None:
        """Stop what shared stages are still at."""
        for task in self._shared.values():
            task.cancel()

    def includes(self, stage: str) -> bool:
        """Say whether a stage is carried out."""
        if stage not in self._included and stage not in self._omitted:
            self.recipe.stage(stage)  # raises for a stage that the recipe does not have
        return stage in self._included

    def draw_style(self, index: int) -> str:
        """Draw the style of an item by the weights."""
        if not self._styles:
            return ""
        drawn = share_of(self.seed, "style", index) * self._style_bounds[-1]
        return self._styles[min(bisect(self._style_bounds, drawn), len(self._styles) - 1)]

    def clause_of(self, index: int) -> Clause:
        """Return the clause of an item: a fresh shuffle of all clauses, round after round."""
        number, place = divmod(index, len(self.constitution.clauses))
        return self._clause_round(number)[place]

    async def ask(
        self, stage: str, seed: int, fields: Mapping[str, object], *, is_shared: bool = False
    ) -> Exchange:
        """Render the prompt of a stage and ask its model."""
        asking = self._asking.get(stage)
        if asking is None or stage not in self._included:
            raise RuntimeError(
                f'recipe "{self.recipe.name}" asks stage "{stage}", which has no prompt or is '
                "left out"
            )
        request = ChatRequest(
            target=asking.target,
            messages=asking.prompt.messages(**fields),
            sampling=Sampling(
                temperature=asking.temperature,
                max_output_tokens=asking.max_output_tokens,
                seed=seed,
            ),
        )
        reply = await self._authors.reply(stage, request)
        return Exchange(
            stage=stage,
            prompt_version=asking.prompt.version,
            request=request,
            reply=reply,
            key=self._authors.key(request),
            is_shared=is_shared,
        )

    async def grade(
        self, stage: str, *, rubric: str, content: Content, reference: str
    ) -> tuple[Exchange, Mapping[str, float]]:
        """Have the judge room grade a content."""
        return await self._authors.grade(stage, rubric=rubric, content=content, reference=reference)

    async def shared(
        self,
        stage: str,
        key: tuple[str, ...],
        make: Callable[[], Coroutine[Any, Any, Shared]],
    ) -> Shared:
        """Return what was made for a stage and a key, making it if nobody has begun to."""
        place = (stage, *key)
        task = self._shared.pop(place, None)
        if task is None:
            task = asyncio.create_task(make())
            task.add_done_callback(lambda done: self._forget_failure(place, done))
            self._forget_oldest()
        self._shared[place] = task  # behind all others, as the one used last
        # An item that is given up must not take the others' work with it.
        return task.result() if task.done() else await asyncio.shield(task)

    def _forget_failure(self, place: tuple[str, ...], task: "asyncio.Task[Shared]") -> None:
        has_failed = task.cancelled() or task.exception() is not None
        if has_failed and self._shared.get(place) is task:
            del self._shared[place]  # a host that failed may answer the next time

    def _forget_oldest(self) -> None:
        if len(self._shared) >= SHARED_KEPT:
            finished = (place for place, task in self._shared.items() if task.done())
            oldest = next(finished, None)
            if oldest is not None:
                del self._shared[oldest]

    def _shuffled_clauses(self, number: int) -> tuple[Clause, ...]:
        clauses = list(self.constitution.clauses)
        rng = random.Random(seed_of(self.seed, "clauses", number))  # noqa: S311  # repeatable
        rng.shuffle(clauses)
        return tuple(clauses)


def _asking(recipe: LanguageRecipe, settings: LanguageSettings) -> dict[str, _Asking]:
    return {
        stage: _Asking(
            prompt=prompt,
            target=settings.model_of(stage),
            temperature=settings.temperature if prompt.temperature is None else prompt.temperature,
            max_output_tokens=prompt.max_output_tokens or settings.max_output_tokens,
        )
        for stage, prompt in recipe.prompts.items()
    }
