"""What a caller asks for: the spec of a dataset and the point where a stream goes on.

Knows no protobuf. What is allowed is in `checks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from services.dataset.constitution.clauses import Chunking
from services.servicekit.chat import ModelRef
from services.servicekit.spending import SpendingLimit

DEFAULT_TEMPTATION_SHARE = 0.25
DEFAULT_TEMPERATURE = 1.0
DEFAULT_MAX_OUTPUT_TOKENS = 2048
MAX_TOKEN_BUDGET = 10**12
MAX_UNSEEN_TWIN_OBJECTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarSettings:
    """How the grammar author of the micro-world writes."""

    world_seed: int = 0
    """Which consequence each action has follows from it alone."""
    temptation_share: float = DEFAULT_TEMPTATION_SHARE
    """Share of examples about a harmful action, 0 to 1; the rest are benign twins."""
    system_prompt_share: float = 0.0
    """Share of advice chats that open like an agent's, 0 to 1."""
    unseen_twin_objects: int = 0
    """Benign objects of each held-out family that never appear, 0 to 6: the last
    ones in the order of the micro-world's tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What is added to chats and never needed by the reply."""

    unused_tools_share: float = 0.0
    """Share of chats that offer tools which are never used, 0 to 1."""
    system_prompt_share: float = 0.0
    """Share of chats with a varied and complex system prompt, 0 to 1."""
    persona_share: float = 0.0
    """Share of chats whose assistant has a name of its own, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstitutionSource:
    """The text that the training data teaches, and how it becomes clauses."""

    markdown: str = ""
    """Empty means the one the project ships."""
    chunking: Chunking = Chunking.SECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageSettings:
    """How language models write."""

    model: ModelRef
    """Of every stage that stage_models does not name."""
    stage_models: Mapping[str, ModelRef] = field(default_factory=dict)
    omitted_stages: tuple[str, ...] = ()
    variant: str = ""
    """One of Recipe.variants; empty means the first."""
    style_weights: Mapping[str, float] = field(default_factory=dict)
    """Relative weights of Recipe.styles; empty means all alike."""
    temperature: float = DEFAULT_TEMPERATURE
    """Of stages whose prompt sets none."""
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    """Of stages whose prompt sets none."""
    constitution: ConstitutionSource = field(default_factory=ConstitutionSource)
    augmentation: Augmentation | None = None
    spending_limit: SpendingLimit = field(default_factory=SpendingLimit)
    judge_model: ModelRef | None = None
    """What the judge room asks in filter stages."""

    def model_of(self, stage: str) -> ModelRef:
        """Return the model of a stage."""
        return self.stage_models.get(stage, self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """Which chats are read."""

    source: str
    """Name of a source in the room's settings."""
    augmentation: Augmentation | None = None
    """What is added to the chats."""


AuthorSettings: TypeAlias = GrammarSettings | LanguageSettings | ImportSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """Everything a caller decides about a dataset."""

    recipe: str
    seed: int = 0
    token_budget: int
    """Tokens to write; the dataset ends with the example that reaches it."""
    author: AuthorSettings | None = None
    """None where the request names none: the grammar's defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """Where a stream starts: after the items that its caller has."""

    next_index: int = 0
    """Index of the next item wanted."""
    cumulative_tokens: int = 0
    """Tokens of the examples before it."""
