"""Which examples are trained on, and in which order. Knows no tokenizer and no model."""

import itertools
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
    num_tokens: int
    num_supervised: int


def select_examples(
    name: str,
    budget_tokens: int,
    rows: Iterable[ShardRow],
    encode: Callable[[Sequence[ShardRow]], list[EncodedExample]],
) -> SourceSelection:
    """Take examples in order for as long as the next one fits into the budget.

    Raises:
        DataUnusable: the examples end before the budget does.
    """
    chosen: list[EncodedExample] = []
    tokens = 0
    for example in _encoded(rows, encode):
        if tokens + len(example.tokens) > budget_tokens:
            break
        chosen.append(example)
        tokens += len(example.tokens)
    else:
        if tokens < budget_tokens:
            raise DataUnusable(
                f'source "{name}": its {len(chosen)} examples hold {tokens} tokens, fewer than '
                f"the budget of {budget_tokens}; every token is used once"
            )
    if not chosen:
        raise DataUnusable(
            f'source "{name}": the budget of {budget_tokens} tokens is less than its first example'
        )
    return SourceSelection(
        name=name,
        budget_tokens=budget_tokens,
        examples=tuple(chosen),
        num_tokens=tokens,
        num_supervised=sum(int(example.supervised.sum()) for example in chosen),
    )


def _encoded(
    rows: Iterable[ShardRow], encode: Callable[[Sequence[ShardRow]], list[EncodedExample]]
) -> Iterator[EncodedExample]:
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, _ROWS_PER_CHUNK)):
        yield from encode(chunk)


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
