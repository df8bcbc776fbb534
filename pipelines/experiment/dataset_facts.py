"""What a dataset was made from and what became of its items, counted. Knows no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from teachwhy.dataset.v1 import example_pb2

from pipelines.experiment.drafts import Item, lineage_of
from pipelines.experiment.published_shards import MessageFields, reason_word


@dataclass(slots=True)
class StageFacts:
    """What one stage took."""

    replies: int = 0
    """Distinct replies."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    models: dict[str, None] = field(default_factory=dict)
    """Models with their revisions, in order of appearance."""
    prompts: dict[str, None] = field(default_factory=dict)
    """Prompt versions, in order of appearance."""
    items: int = 0
    """Items whose lineage holds a reply of it."""
    rejections: Counter[str] = field(default_factory=Counter)
    """Items that it ended, by reason."""

    @property
    def rejected(self) -> int:
        """Items that it ended."""
        return self.rejections.total()

    @property
    def passed_share(self) -> float:
        """Share of the items that reached it and went on."""
        reached = max(self.items, self.rejected)
        return 1 - self.rejected / reached if reached else 1.0


class DatasetFacts:
    """Facts of a dataset, gathered item by item."""

    def __init__(self) -> None:
        self.items = 0
        self.examples = 0
        self.rejected = 0
        self.published = 0
        self.published_tokens = 0
        self.by_clause: Counter[str] = Counter()
        """Published examples by clause id."""
        self.stages: dict[str, StageFacts] = {}
        self.authors: Counter[str] = Counter()
        self.fields = MessageFields()
        self.is_chat = False
        self.places: dict[int, tuple[str, str]] = {}
        """Id and clause by index, of the examples that ``noted`` holds."""
        self.recipe_revision = ""
        self.constitution_digest = ""
        self._replies: set[str] = set()

    @property
    def usd(self) -> float:
        """What all replies cost at the prices of the room's settings."""
        return sum(stage.usd for stage in self.stages.values())

    @property
    def author_tokens(self) -> int:
        """Tokens of all replies and their prompts."""
        return sum(stage.input_tokens + stage.output_tokens for stage in self.stages.values())

    def add(self, item: Item, *, noted: Container[int]) -> None:
        """Count an item, published or not; remember places of the indexes in ``noted``."""
        self.items += 1
        lineage = lineage_of(item)
        self.recipe_revision = self.recipe_revision or lineage.recipe_revision
        self.constitution_digest = self.constitution_digest or lineage.constitution_digest
        self._add_stages(lineage.stages)
        if item.WhichOneof("item") == "example":
            self.examples += 1
            if item.example.index in noted:
                self.places[item.example.index] = (item.example.id, lineage.clause)
        else:
            self.rejected += 1
            stage = self.stages.setdefault(item.rejection.stage, StageFacts())
            stage.rejections[reason_word(item.rejection.reason)] += 1

    def add_published(self, example: example_pb2.Example) -> None:
        """Count an example that is published."""
        self.published += 1
        self.published_tokens += example.num_tokens
        self.by_clause[example.lineage.clause] += 1
        self.authors[example.lineage.author] += 1
        self.is_chat = example.WhichOneof("content") == "chat"
        self.fields = self.fields.with_example(example)

    def _add_stages(self, records: Sequence[example_pb2.StageRecord]) -> None:
        for name in dict.fromkeys(record.stage for record in records):
            self.stages.setdefault(name, StageFacts()).items += 1
        for record in records:
            if record.reply_key in self._replies:
                continue
            self._replies.add(record.reply_key)
            stage = self.stages[record.stage]
            stage.replies += 1
            stage.input_tokens += record.usage.input_tokens
            stage.output_tokens += record.usage.output_tokens
            stage.usd += record.cost_usd
            model = f"{record.model.endpoint}/{record.model.model}"
            revision = f" ({record.model_revision})" if record.model_revision else ""
            stage.models[model + revision] = None
            stage.prompts[record.prompt_version] = None
