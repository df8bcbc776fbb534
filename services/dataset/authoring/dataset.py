"""Datasets that language models write."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from services.dataset.authoring.desk import Authors, Desk, Order
from services.dataset.authoring.dry_run import DryRun, carry_out_dry
from services.dataset.authoring.writing import ItemWriter, Written
from services.dataset.authoring.yields import YieldWatch
from services.dataset.dataset import Plan, StagePlan
from services.dataset.example import Item, PreviewedItem
from services.dataset.recipe import Recipe
from services.dataset.spec import DatasetSpec, LanguageSettings, ResumePoint
from services.dataset.tokens import TokenCounter
from services.servicekit.chat import ModelRef, Usage
from services.servicekit.chat_price import Price
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField
from services.servicekit.series import in_order
from services.servicekit.spending import SpendingLimit

ITEMS_MEASURED = 8
"""Items of the dry run that says how long examples are."""
MAX_ITEMS_PLANNED = 256
"""Items of the dry run that a plan rests on."""

_FIRST_BATCHES = 4  # of all that run at once: enough to learn how long real examples are
_SHORTEST = 0.5  # of the shortest sample: below it no example is to be expected
_CAUTION = 0.95  # of the items that seem missing, so that few are written beyond the budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the streams of a process write with."""

    open_authors: Callable[[LanguageSettings, Recipe], Awaitable[Authors]]
    """Makes who answers one stream."""
    price_of: Callable[[ModelRef], Price | None]
    counter: TokenCounter
    gate: asyncio.Semaphore
    """Bounds the items in work over all streams."""
    max_concurrency: int
    """The gate's size."""

    def usd_of(self, model: ModelRef, usage: Usage) -> float:
        """Return the cost of a usage; 0 without a price."""
        price = self.price_of(model)
        return price.usd(usage) if price else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageDataset:
    """An allowed spec of a language recipe."""

    spec: DatasetSpec
    order: Order
    workshop: Workshop
    measured: DryRun
    """Of ITEMS_MEASURED items."""

    @property
    def recipe(self) -> Recipe:
        """The recipe that the spec names."""
        return self.order.recipe

    async def plan(self) -> Plan:
        """Say what items() would write and spend, from a dry run with sample replies."""
        num_items = max(1, math.ceil(self.spec.token_budget / self.measured.mean_tokens))
        run = await carry_out_dry(
            self.order, min(num_items, MAX_ITEMS_PLANNED), self.workshop.counter
        )
        num_items = max(1, math.ceil(self.spec.token_budget / run.mean_tokens))
        stages = [self._stage_plan(run, stage, num_items) for stage in run.tallies]
        own = [each for each in stages if not self.recipe.stage(each.stage).asks_judge]
        costs = [each.usd for each in own]
        return Plan(
            digest=self._digest(),
            recipe=self.recipe,
            estimated_examples=num_items,
            estimated_author_tokens=sum(
                each.usage.input_tokens + each.usage.output_tokens for each in own
            ),
            stages=stages,
            estimated_usd=None if None in costs else sum(usd for usd in costs if usd is not None),
        )

    async def items(self, start: ResumePoint) -> AsyncGenerator[Item, None]:
        """Write the items in order, many at a time."""
        tokens, watch = start.cumulative_tokens, YieldWatch()
        async with aclosing(self._written(start)) as series:
            async for written in series:
                item = written.placed(tokens)
                tokens += written.num_tokens
                yield item
                watch.note(item)

    async def preview(self, max_items: int) -> AsyncGenerator[PreviewedItem, None]:
        """Write the first items and show all that led to each."""
        tokens, left = 0, max_items
        async with aclosing(self._written(ResumePoint(), max_items)) as series:
            async for written in series:
                yield PreviewedItem(item=written.placed(tokens), stages=written.stage_texts())
                tokens += written.num_tokens
                left -= 1
                if not left:
                    return

    async def _written(
        self, start: ResumePoint, max_items: int | None = None
    ) -> AsyncGenerator[Written, None]:
        """Write until the budget is reached, in batches as large as the rest of it seems.

        What runs ahead of the last item is paid for and thrown away, so that batches are cut to
        what the items so far say will be needed.
        """
        authors = await self.workshop.open_authors(self.order.settings, self.recipe)
        desk = Desk(self.order, authors)
        writer = ItemWriter(
            desk,
            author=self.order.settings.model,
            counter=self.workshop.counter,
            usd_of=self.workshop.usd_of,
        )
        index, tokens = start.next_index, start.cumulative_tokens
        num_seen, tokens_seen = 0, 0
        try:
            while tokens < self.spec.token_budget:
                mean = tokens_seen / num_seen if tokens_seen else self.measured.mean_tokens
                missing = self.spec.token_budget - tokens
                size = self._batch(missing / mean, is_first=not num_seen)
                batch = in_order(
                    writer.write,
                    range(index, index + min(size, max_items or size)),
                    gate=self.workshop.gate,
                    max_concurrency=self.workshop.max_concurrency,
                )
                async with aclosing(batch) as series:
                    async for written in series:
                        index, num_seen = index + 1, num_seen + 1
                        tokens += written.num_tokens
                        tokens_seen += written.num_tokens
                        yield written
                        if tokens >= self.spec.token_budget:
                            return
        finally:
            desk.close()

    def _batch(self, items_missing: float, *, is_first: bool) -> int:
        size = max(1, math.floor(items_missing * _CAUTION))
        return min(size, _FIRST_BATCHES * self.workshop.max_concurrency) if is_first else size

    def _stage_plan(self, run: DryRun, stage: str, num_items: int) -> StagePlan:
        facts = self.recipe.stage(stage)
        calls = run.calls(stage, num_items, is_shared=facts.is_shared)
        tally = run.tallies[stage]
        usage = Usage(
            input_tokens=round(tally.input_tokens / tally.calls * calls),
            output_tokens=round(tally.output_tokens / tally.calls * calls),
        )
        # The judge room pays for its own calls, at prices that only it knows.
        price = None if facts.asks_judge else self.workshop.price_of(tally.model)
        return StagePlan(
            stage=stage,
            model=tally.model,
            calls=calls,
            usage=usage,
            usd=price.usd(usage) if price else None,
        )

    def _digest(self) -> str:
        """Where spending stops, and how one and the same thing is said, decides nothing."""
        given = self.order.settings
        settings = replace(
            given,
            omitted_stages=tuple(sorted(given.omitted_stages)),
            variant=given.variant or next(iter(self.recipe.variants), ""),
            spending_limit=SpendingLimit(),
            constitution=replace(given.constitution, markdown=""),
        )
        return digest_of(
            replace(self.spec, author=settings),
            self.order.constitution.digest,
            self.workshop.counter.name,
            self.recipe.revision,
        )


async def open_language_dataset(
    spec: DatasetSpec, order: Order, workshop: Workshop
) -> LanguageDataset:
    """Open an allowed spec.

    Raises:
        InvalidField: the token budget is smaller than the smallest plausible example.
    """
    measured = await carry_out_dry(order, ITEMS_MEASURED, workshop.counter)
    smallest = math.ceil(min(measured.item_tokens) * _SHORTEST)
    if spec.token_budget < smallest:
        raise InvalidField.at(
            "spec.token_budget",
            f"must be {smallest} or more for {order.recipe.name}, of which one example has about "
            f"{round(measured.mean_tokens)} tokens, got {spec.token_budget}",
        )
    return LanguageDataset(spec=spec, order=order, workshop=workshop, measured=measured)
