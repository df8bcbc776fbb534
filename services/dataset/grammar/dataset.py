"""Datasets of the grammar author.

Item i depends on the seeds, the settings and i alone, not on the budget: a
smaller dataset is the beginning of a larger one, and a stream can start anywhere.
"""

import math
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from itertools import count, islice

from services.dataset.dataset import Plan
from services.dataset.example import (
    Content,
    Conversation,
    Example,
    Item,
    Lineage,
    PreviewedItem,
    Text,
    text_id,
)
from services.dataset.grammar.recipe import AUTHOR, GrammarRecipe, Passage
from services.dataset.spec import DatasetSpec, GrammarSettings, ResumePoint
from services.microworld.draws import seeded
from services.microworld.passages import Chat, Document
from services.microworld.world import World
from services.servicekit.conversation import ENVIRONMENT, Message, Role, ToolDefinition
from services.servicekit.digest import digest_of

_EXAMPLES_MEASURED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarDataset:
    """An allowed spec of a grammar recipe."""

    spec: DatasetSpec
    recipe: GrammarRecipe
    settings: GrammarSettings

    async def plan(self) -> Plan:
        """Say what items() would write, from the length of the first ones."""
        measured = list(islice(self.examples(ResumePoint()), _EXAMPLES_MEASURED))
        estimate, tokens = len(measured), measured[-1].cumulative_tokens
        if tokens < self.spec.token_budget:
            estimate = math.ceil(self.spec.token_budget / (tokens / estimate))
        return Plan(
            digest=digest_of(self.spec, self.settings, self.recipe.revision),
            recipe=self.recipe,
            estimated_examples=estimate,
        )

    async def items(self, start: ResumePoint) -> AsyncGenerator[Item, None]:
        """Write the examples in order; the grammar rejects nothing."""
        for example in self.examples(start):
            yield example

    async def preview(self, max_items: int) -> AsyncGenerator[PreviewedItem, None]:
        """Write the first examples; the grammar has nothing more to show."""
        for example in islice(self.examples(ResumePoint()), max_items):
            yield PreviewedItem(item=example)

    def passages(self, first_index: int) -> Iterator[Passage]:
        """Write passages from an index on, without end."""
        world_seed = self.settings.world_seed
        write = self.recipe.open_writer(World.build(world_seed), self.settings)
        for index in count(first_index):
            yield write(seeded(self.recipe.draws, self.spec.seed, world_seed, index))

    def examples(self, start: ResumePoint) -> Iterator[Example]:
        """Write the examples from a point on, until the budget is reached."""
        revision = self.recipe.revision
        index, cumulative_tokens = start.next_index, start.cumulative_tokens
        passages = self.passages(index)
        while cumulative_tokens < self.spec.token_budget:
            passage = next(passages)
            rendered = passage.content.rendered()
            num_tokens = len(rendered.split())
            cumulative_tokens += num_tokens
            yield Example(
                index=index,
                id=text_id(rendered, is_document=isinstance(passage.content, Document)),
                content=_content(passage.content),
                num_tokens=num_tokens,
                cumulative_tokens=cumulative_tokens,
                lineage=self._lineage(passage, revision),
            )
            index += 1

    def _lineage(self, passage: Passage, revision: str) -> Lineage:
        return Lineage(
            recipe=self.recipe.name,
            recipe_revision=revision,
            clause=passage.clause,
            family=passage.family,
            is_temptation=passage.is_temptation,
            author=AUTHOR,
        )


def _content(passage: Document | Chat) -> Content:
    """Write a passage as a trainer's chat template expects it: no part carries markers."""
    if isinstance(passage, Document):
        return Text(text=passage.text)
    name = ENVIRONMENT if passage.is_observation else ""
    turns = (
        Message(role=Role.USER, content=passage.turn, name=name),
        Message(role=Role.ASSISTANT, content=passage.reply),
    )
    system = (Message(role=Role.SYSTEM, content=passage.system),) if passage.system else ()
    return Conversation(
        messages=system + turns, tools=tuple(ToolDefinition(name=tool) for tool in passage.tools)
    )
