"""Datasets of imported chats: the rows of a file in an order drawn by the seed.

Blocks come in a drawn order, and so do the rows of each: what lies close in the file lies close
in the dataset, and a stream can start anywhere without reading what comes before.
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace

from services.dataset.authoring.seeds import seed_of
from services.dataset.authoring.yields import YieldWatch
from services.dataset.dataset import Plan
from services.dataset.example import (
    MAX_DETAIL_CHARACTERS,
    Conversation,
    Example,
    Item,
    Lineage,
    PreviewedItem,
    Rejection,
    RejectionReason,
    content_id,
)
from services.dataset.imported.chats import MalformedRow, chat_of
from services.dataset.imported.files import Row, RowFile, UnreadableRow
from services.dataset.imported.recipe import AUGMENT, READ, ImportRecipe
from services.dataset.recipes.surroundings import NoUnusedTools, dressed, wanted_for
from services.dataset.spec import Augmentation, DatasetSpec, ImportSettings, ResumePoint
from services.dataset.tokens import TokenCounter
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField

_ITEMS_MEASURED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of chats that the settings name."""

    name: str
    """In the settings."""
    file_name: str
    digest: str
    """SHA-256 of the file, 64 hex digits."""
    rows: RowFile

    @property
    def num_rows(self) -> int:
        """Rows of all blocks."""
        return sum(self.rows.block_sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDataset:
    """An allowed spec of an import."""

    spec: DatasetSpec
    recipe: ImportRecipe
    settings: ImportSettings
    source: Source
    counter: TokenCounter

    async def plan(self) -> Plan:
        """Say what items() would read, from the first rows."""
        num_items, num_tokens = 0, 0
        async for item in self._items(ResumePoint(), _ITEMS_MEASURED):
            num_items += 1
            num_tokens += item.num_tokens if isinstance(item, Example) else 0
        missing = max(0, self.spec.token_budget - num_tokens)
        estimate = num_items + math.ceil(missing * num_items / max(1, num_tokens))
        return Plan(
            digest=digest_of(
                self.spec, self.source.digest, self.counter.name, self.recipe.revision
            ),
            recipe=self.recipe,
            estimated_examples=max(1, min(estimate, self.source.num_rows)),
        )

    async def items(self, start: ResumePoint) -> AsyncGenerator[Item, None]:
        """Read the items in order; a row that is no chat is a rejection.

        Raises:
            InvalidField: the source ends before the budget is reached.
        """
        watch = YieldWatch()
        tokens = start.cumulative_tokens
        async for item in self._items(start, self.source.num_rows):
            tokens = item.cumulative_tokens if isinstance(item, Example) else tokens
            yield item
            watch.note(item)
        if tokens < self.spec.token_budget:
            raise InvalidField.at(
                "spec.token_budget",
                f'must be at most {tokens}: source "{self.source.name}" has no more in its '
                f"{self.source.num_rows} rows",
            )

    async def preview(self, max_items: int) -> AsyncGenerator[PreviewedItem, None]:
        """Read the first items; no stage asks a model."""
        async for item in self._items(ResumePoint(), max_items):
            yield PreviewedItem(item=item)

    async def _items(self, start: ResumePoint, end: int) -> AsyncGenerator[Item, None]:
        index, tokens = start.next_index, start.cumulative_tokens
        revision = self.recipe.revision
        for block, skipped in self._blocks(index):
            rows = list(await asyncio.to_thread(self.source.rows.read, block))
            _shuffled(rows, seed_of("rows", self.spec.seed, block))
            for row in rows[skipped:]:
                if index >= end or tokens >= self.spec.token_budget:
                    return
                item = self._item(row, index, tokens, revision)
                tokens = item.cumulative_tokens if isinstance(item, Example) else tokens
                yield item
                index += 1

    def _blocks(self, first_index: int) -> Iterator[tuple[int, int]]:
        """Blocks in their drawn order from an item on, with the rows of it to skip."""
        order = list(range(len(self.source.rows.block_sizes)))
        _shuffled(order, seed_of("blocks", self.spec.seed))
        before = 0
        for block in order:
            size = self.source.rows.block_sizes[block]
            if before + size > first_index:
                yield block, max(0, first_index - before)
            before += size

    def _item(self, row: Row, index: int, tokens_before: int, revision: str) -> Item:
        place = f"{self.source.file_name}:{row.number}"
        lineage = Lineage(
            recipe=self.recipe.name,
            recipe_revision=revision,
            author=f"import/{self.source.name}",
            draws={"row": place},
        )
        try:
            if isinstance(row.value, UnreadableRow):
                raise MalformedRow(row.value.detail)  # noqa: TRY301  # one way to reject a row
            content, draws = self._augmented(chat_of(row.value), index)
        except (MalformedRow, NoUnusedTools) as fault:
            is_malformed = isinstance(fault, MalformedRow)
            return Rejection(
                index=index,
                stage=READ if is_malformed else AUGMENT,
                reason=RejectionReason.MALFORMED if is_malformed else RejectionReason.FILTERED,
                detail=f"{place}: {fault}"[:MAX_DETAIL_CHARACTERS],
                lineage=lineage,
            )
        lineage = replace(lineage, draws={**lineage.draws, **draws})
        num_tokens = max(1, self.counter.count(content))
        return Example(
            index=index,
            id=content_id(content),
            content=content,
            num_tokens=num_tokens,
            cumulative_tokens=tokens_before + num_tokens,
            lineage=lineage,
        )

    def _augmented(self, chat: Conversation, index: int) -> tuple[Conversation, dict[str, str]]:
        wanted = wanted_for(index, self.settings.augmentation or Augmentation())
        if not wanted:
            return chat, {}
        rng = random.Random(seed_of("augmentation", self.spec.seed, index))  # noqa: S311
        around = dressed(chat, wanted, rng)
        return around.conversation, around.draws


def _shuffled(values: list[int] | list[Row], seed: int) -> None:
    random.Random(seed).shuffle(values)  # noqa: S311  # repeatable on purpose, guards no secret
