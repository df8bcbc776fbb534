"""Everything that is trained on, as a fixed list of batches. Knows no model."""

import hashlib
import itertools
from dataclasses import dataclass
from functools import cached_property, partial

import transformers

from pipelines.training.batches import Batch, collate, plan_batches
from pipelines.training.encoding import EncodedExample, encode_rows
from pipelines.training.errors import DataUnusable
from pipelines.training.mixture import SourceSelection, interleave, select_examples
from pipelines.training.shards import read_rows
from pipelines.training.spec import TrainingSpec


@dataclass(frozen=True, kw_only=True)
class Material:
    """The batches of one training, in order; the same spec and shards give the same ones."""

    sources: tuple[SourceSelection, ...]
    examples: tuple[EncodedExample, ...]
    plan: tuple[tuple[int, ...], ...]
    """Examples of each batch."""
    pad: int

    @property
    def num_tokens(self) -> int:
        """Tokens of all batches."""
        return sum(source.num_tokens for source in self.sources)

    @cached_property
    def tokens_after(self) -> list[int]:
        """Tokens of the batches up to and including each."""
        return list(
            itertools.accumulate(
                sum(len(self.examples[at].tokens) for at in batch) for batch in self.plan
            )
        )

    def batch(self, at: int) -> Batch:
        """Collate one batch."""
        return collate([self.examples[each] for each in self.plan[at]], self.pad)

    def digest(self) -> str:
        """Identity of the tokens, their losses and their order."""
        digest = hashlib.sha256(repr(self.plan).encode())
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
    sources = tuple(
        select_examples(
            source.name, source.tokens, read_rows(source.data), partial(encode_rows, tokenizer)
        )
        for source in spec.mixture
    )
    for source in sources:
        longest = max(len(example.tokens) for example in source.examples)
        if context_tokens is not None and longest > context_tokens:
            raise DataUnusable(
                f'source "{source.name}": an example has {longest} tokens, more than the '
                f"{context_tokens} that the model reads; nothing is cut off silently"
            )
    examples = interleave(sources)
    lengths = [len(example.tokens) for example in examples]
    plan = plan_batches(lengths, spec.batch_tokens, spec.seed)
    return Material(
        sources=sources,
        examples=tuple(examples),
        plan=tuple(map(tuple, plan)),
        # Padding is never looked at, so a tokenizer without a pad token may use any token.
        pad=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )
