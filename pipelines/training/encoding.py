"""Examples as tokens, each with or without a loss. Knows no model, budget or batch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import transformers

from pipelines.training.errors import DataUnusable, StartUnusable
from pipelines.training.shards import ChatRow, DocumentRow, ShardRow

_GENERATION_BLOCK = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedExample:
    """One example, as the model sees it."""

    tokens: npt.NDArray[np.int32]
    """[length]"""
    supervised: npt.NDArray[np.bool_]
    """[length] Whether the model is trained to predict this token."""


def encode_rows(
    tokenizer: transformers.PreTrainedTokenizerFast, rows: Sequence[ShardRow]
) -> list[EncodedExample]:
    """Encode examples in their order.

    A document gets a loss on all of its tokens and an end token where it has none. A chat is
    rendered by the chat template and gets a loss on the assistant's tokens only.

    Raises:
        DataUnusable: an example whose loss would be empty.
        StartUnusable: the chat template does not say which words are the assistant's.
    """
    documents = [row.text for row in rows if isinstance(row, DocumentRow)]
    texts = iter(tokenizer(documents)["input_ids"] if documents else ())
    return [
        _document(next(texts), tokenizer.eos_token_id)
        if isinstance(row, DocumentRow)
        else _chat(tokenizer, row)
        for row in rows
    ]


def _document(tokens: list[int], end: int) -> EncodedExample:
    closed = tokens if tokens and tokens[-1] == end else [*tokens, end]
    return EncodedExample(
        tokens=np.array(closed, dtype=np.int32), supervised=np.ones(len(closed), dtype=np.bool_)
    )


def _chat(tokenizer: transformers.PreTrainedTokenizerFast, row: ChatRow) -> EncodedExample:
    template = tokenizer.chat_template
    if not isinstance(template, str) or not _GENERATION_BLOCK.search(template):
        raise StartUnusable(
            "the tokenizer's chat template marks no assistant words with {% generation %}, so a "
            'loss on them alone is impossible: give start a "chat_template" that does'
        )
    rendered: Any = tokenizer.apply_chat_template(
        list(row.messages),
        tools=[*row.tools] or None,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    supervised = np.array(rendered["assistant_masks"], dtype=np.bool_)
    # The first token is never predicted, so a loss on it alone is no loss.
    if not supervised[1:].any():
        raise DataUnusable(f"{row.where}: the chat has no assistant token to train on")
    return EncodedExample(
        tokens=np.array(rendered["input_ids"], dtype=np.int32), supervised=supervised
    )
