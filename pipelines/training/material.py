"""Everything that is trained on, as a fixed list of batches. Knows no model."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import transformers

from pipelines.training.batches import (
    Batch,
    collate,
    collate_packed,
    plan_batches,
    plan_packed_batches,
    row_width,
)
from pipelines.training.encoding import EncodedExample, Encoder
from pipelines.training.errors import DataUnusable
from pipelines.training.mixture import Selection, SourceSelection, interleave, select_examples
from pipelines.training.shards import read_rows
from pipelines.training.spec import TrainingSpec

_Groups: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The batches of one training, in order; the same spec and shards give the same ones."""

    sources: tuple[SourceSelection, ...]
    examples: tuple[EncodedExample, ...]
    plan: _Groups
    """Rows of each batch."""
    pad: int
    packed: _Groups | None = None
    """Examples of each row; None: every example is a row."""
    in_one_row: bool = False
    """Whether packed rows are joined when they are collated."""
    validation: tuple[EncodedExample, ...] = ()
    """Held back, to measure the loss on."""

    @property
    def num_tokens(self) -> int:
        """Tokens of all batches."""
        return sum(source.num_tokens for source in self.sources)

    @cached_property
    def tokens_after(self) -> list[int]:
        """Tokens of the batches up to and including each."""
        return list(
            itertools.accumulate(
                sum(len(each.tokens) for row in rows for each in self._members(row))
                for rows in self.plan
            )
        )

    def rows(self, at: int) -> Sequence[int]:
        """Rows of one batch, which may be computed apart from each other."""
        return self.plan[at]

    def _members(self, row: int) -> list[EncodedExample]:
        members = (row,) if self.packed is None else self.packed[row]
        return [self.examples[at] for at in members]

    def width(self, row: int) -> int:
        """Tokens of a row."""
        return row_width([len(each.tokens) for each in self._members(row)])

    def num_targets(self, at: int) -> int:
        """Tokens of one batch that are predicted: never the first of an example."""
        rows = map(self._members, self.rows(at))
        return sum(int(each.supervised[1:].sum()) for row in rows for each in row)

    def num_pairs(self, at: int) -> int:
        """Pairs of tokens of one batch that belong to one example, for the cost of attention."""
        rows = map(self._members, self.rows(at))
        return sum(len(each.tokens) ** 2 for row in rows for each in row)

    def collate(self, rows: Sequence[int]) -> Batch:
        """Put some rows of a batch together."""
        members = [self._members(row) for row in rows]
        if self.packed is None:
            return collate([example for (example,) in members], self.pad)
        return collate_packed(members, self.pad, in_one_row=self.in_one_row)

    def batch(self, at: int) -> Batch:
        """Collate one batch."""
        return self.collate(self.rows(at))

    def digest(self) -> str:
        """Identity of the tokens, their losses and their order."""
        digest = hashlib.sha256(repr(self.plan).encode())
        if self.packed is not None:
            digest.update(repr(self.packed).encode())
        for example in self.examples:
            digest.update(example.tokens.tobytes())
            digest.update(example.supervised.tobytes())
        return digest.hexdigest()


def prepare_material(
    spec: TrainingSpec,
    tokenizer: transformers.PreTrainedTokenizerFast,
    context_tokens: int | None,
) -> Material:
    """Read, encode, mix and cut what a spec trains on.

    Raises:
        DataUnusable: unreadable shards, too few tokens, or an example longer than the context.
        StartUnusable: the chat template marks no assistant words.
    """
    encode = Encoder(tokenizer).encode
    sources = tuple(
        select_examples(
            source.name,
            source.tokens,
            read_rows(source.data),
            encode,
            Selection(
                max_epochs=source.max_epochs,
                validation_share=spec.validation_share,
                seed=spec.seed,
            ),
        )
        for source in spec.mixture
    )
    for source in sources:
        longest = max(len(each.tokens) for each in (*source.examples, *source.validation))
        if context_tokens is not None and longest > context_tokens:
            raise DataUnusable(
                f'source "{source.name}": an example has {longest} tokens, more than the '
                f"{context_tokens} that the model reads; nothing is cut off silently"
            )
    examples = interleave(sources)
    plan, packed = _plan(spec, examples, context_tokens)
    return Material(
        sources=sources,
        examples=tuple(examples),
        plan=plan,
        packed=packed,
        in_one_row=spec.attention == "flash_attention_2",
        # Padding is never looked at, so a tokenizer without a pad token may use any token.
        pad=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        validation=tuple(example for source in sources for example in source.validation),
    )


def _plan(
    spec: TrainingSpec, examples: Sequence[EncodedExample], context_tokens: int | None
) -> tuple[_Groups, _Groups | None]:
    """Return the rows of each batch, and the examples of each row where rows are shared."""
    lengths = [len(example.tokens) for example in examples]
    if spec.packing == "none":
        return _frozen(plan_batches(lengths, spec.batch_tokens, spec.seed)), None
    limits = (spec.batch_tokens, spec.micro_batch_tokens, context_tokens)
    rows, batches = plan_packed_batches(
        lengths,
        [spec.packing == "all" or example.is_document for example in examples],
        min(limit for limit in limits if limit is not None),
        spec.batch_tokens,
        spec.seed,
    )
    return _frozen(batches), _frozen(rows)


def _frozen(groups: Sequence[Sequence[int]]) -> _Groups:
    return tuple(map(tuple, groups))
