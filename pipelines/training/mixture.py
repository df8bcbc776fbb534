"""Which examples are trained on, and in which order. Knows no tokenizer and no model."""

import hashlib
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.training.encoding import EncodedExample
from pipelines.training.errors import DataUnusable
from pipelines.training.shards import ShardRow

_ROWS_PER_CHUNK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSelection:
    """The examples that fill one budget."""

    name: str
    budget_tokens: int
    examples: tuple[EncodedExample, ...]
    """An example that is used in several epochs stands here as often."""
    num_tokens: int
    num_supervised: int
    validation: tuple[EncodedExample, ...] = ()
    """Held back. They count for no budget."""

    @property
    def counts(self) -> dict[str, int]:
        """What was chosen, as it is said in logs and on the card."""
        return {
            "budget_tokens": self.budget_tokens,
            "tokens": self.num_tokens,
            "supervised_tokens": self.num_supervised,
            "examples": len(self.examples),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How a source is used beyond its budget."""

    max_epochs: float = 1.0
    validation_share: float = 0.0
    """Share of the rows that is held back."""
    seed: int = 0
    """Decides which rows are held back, and the order of every epoch but the first."""


def select_examples(
    name: str,
    budget_tokens: int,
    rows: Iterable[ShardRow],
    encode: Callable[[Sequence[ShardRow]], list[EncodedExample]],
    how: Selection | None = None,
) -> SourceSelection:
    """Take examples in order for as long as the next one fits into the budget.

    Raises:
        DataUnusable: the examples end before the budget does, or none could be held back.
    """
    how = how or Selection()
    held: list[EncodedExample] = []
    chosen: list[EncodedExample] = []
    tokens = 0
    for example in _epochs(name, budget_tokens, _encoded(name, rows, encode, how, held), how):
        if tokens + len(example.tokens) > budget_tokens:
            break
        chosen.append(example)
        tokens += len(example.tokens)
    if not chosen:
        raise DataUnusable(
            f'source "{name}": the budget of {budget_tokens} tokens is less than its first example'
        )
    if how.validation_share > 0 and not held:
        raise DataUnusable(
            f'source "{name}": a validation_share of {how.validation_share} holds back none of the '
            "few rows that are read for its budget; raise it, or set it to 0"
        )
    return SourceSelection(
        name=name,
        budget_tokens=budget_tokens,
        examples=tuple(chosen),
        num_tokens=tokens,
        num_supervised=sum(int(example.supervised.sum()) for example in chosen),
        validation=tuple(held),
    )


def _epochs(
    name: str, budget_tokens: int, examples: Iterable[EncodedExample], how: Selection
) -> Iterator[EncodedExample]:
    """Yield the examples, and then again in a new order, while the budget may need more.

    Raises:
        DataUnusable: the budget needs more than the allowed number of epochs.
    """
    seen: list[EncodedExample] = []
    for example in examples:
        yield example
        seen.append(example)
    tokens = sum(len(example.tokens) for example in seen)
    if tokens * how.max_epochs < budget_tokens:
        times = "once" if how.max_epochs == 1 else f"at most {how.max_epochs:g} times"
        raise DataUnusable(
            f'source "{name}": its {len(seen)} examples hold {tokens} tokens, fewer than '
            f"the budget of {budget_tokens}; every token is used {times}"
        )
    for epoch in range(1, math.ceil(how.max_epochs)):
        order = random.Random(f"{how.seed} {name} {epoch}")  # noqa: S311  (an order, not a secret)
        yield from order.sample(seen, len(seen))


def _encoded(
    name: str,
    rows: Iterable[ShardRow],
    encode: Callable[[Sequence[ShardRow]], list[EncodedExample]],
    how: Selection,
    held: list[EncodedExample],
) -> Iterator[EncodedExample]:
    """Yield the examples to train on; what is held back is added to held.

    Whole rows are held back, so that no part of a conversation is on both sides.
    """
    remaining = enumerate(rows)
    while chunk := list(itertools.islice(remaining, _ROWS_PER_CHUNK)):
        kept = [row for at, row in chunk if not _is_held_back(name, at, how)]
        if len(kept) < len(chunk):
            held += encode([row for at, row in chunk if _is_held_back(name, at, how)])
        yield from encode(kept)


def _is_held_back(name: str, at: int, how: Selection) -> bool:
    if how.validation_share == 0:
        return False
    drawn = hashlib.sha256(f"{how.seed} {name} {at}".encode()).digest()
    return int.from_bytes(drawn[:8]) < how.validation_share * 2**64


def interleave(selections: Sequence[SourceSelection]) -> list[EncodedExample]:
    """Merge the sources so that each is used up in proportion to its tokens.

    The next example always comes from the source that is furthest behind; the earlier source
    wins a draw.
    """
    queues = [iter(selection.examples) for selection in selections]
    used = [0] * len(selections)
    merged: list[EncodedExample] = []
    open_sources = list(range(len(selections)))
    while open_sources:
        behind = min(open_sources, key=lambda at: used[at] / selections[at].num_tokens)
        example = next(queues[behind], None)
        if example is None:
            open_sources.remove(behind)
            continue
        used[behind] += len(example.tokens)
        merged.append(example)
    return merged
