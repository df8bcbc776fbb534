"""Examples as tokens, each with or without a loss. Knows no model, budget or batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import transformers

from pipelines.training.chats import ChatRenderer, ChatText
from pipelines.training.errors import DataUnusable
from pipelines.training.shards import DocumentRow, ShardRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedExample:
    """One example, as the model sees it."""

    tokens: npt.NDArray[np.int32]
    """[length]"""
    supervised: npt.NDArray[np.bool_]
    """[length] Whether the model is trained to predict this token."""
    is_document: bool = False


class Encoder:
    """Turns rows into tokens; texts are rendered one by one and cut into tokens all at once."""

    def __init__(self, tokenizer: transformers.PreTrainedTokenizerFast) -> None:
        """Take a tokenizer with its chat template."""
        self._tokenizer = tokenizer
        self._renderer = ChatRenderer(tokenizer)

    def encode(self, rows: Sequence[ShardRow]) -> list[EncodedExample]:
        """Encode rows in their order.

        A document gets a loss on all of its tokens and an end token where it has none. A chat is
        rendered by the chat template and gets a loss on the assistant's tokens only; where one
        text cannot hold all of its turns as the model sees them, it becomes several examples.

        Raises:
            DataUnusable: an example whose loss would be empty, or that the template cannot show.
            StartUnusable: which words are the assistant's is not certain.
        """
        documents = iter(self._documents([row for row in rows if isinstance(row, DocumentRow)]))
        rendered = [
            [] if isinstance(row, DocumentRow) else self._renderer.render(row) for row in rows
        ]
        chats = iter(self._chats([text for texts in rendered for text in texts]))
        encoded: list[EncodedExample] = []
        for row, texts in zip(rows, rendered, strict=True):
            if isinstance(row, DocumentRow):
                encoded.append(next(documents))
            encoded.extend(next(chats) for _ in texts)
        return encoded

    def _documents(self, rows: Sequence[DocumentRow]) -> list[EncodedExample]:
        if not rows:
            return []
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        encoded = []
        for tokens in self._tokenizer([row.text for row in rows])["input_ids"]:
            # A text may hold what the tokenizer adds as well.
            first = 1 if begin is not None and tokens[:2] == [begin, begin] else 0
            last = len(tokens)
            while last > first and tokens[last - 1] == end:
                last -= 1
            closed = np.array([*tokens[first:last], end], dtype=np.int32)
            everything = np.ones(len(closed), dtype=np.bool_)
            encoded.append(EncodedExample(tokens=closed, supervised=everything, is_document=True))
        return encoded

    def _chats(self, texts: Sequence[ChatText]) -> list[EncodedExample]:
        if not texts:
            return []
        encoded = self._tokenizer(
            [each.text for each in texts],
            # Those that belong there come from the template.
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return [
            _chat(chat, tokens, offsets)
            for chat, tokens, offsets in zip(
                texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
            )
        ]


def _chat(chat: ChatText, tokens: list[int], offsets: list[tuple[int, int]]) -> EncodedExample:
    starts, ends = np.array(offsets, dtype=np.int64).T
    supervised = np.zeros(len(tokens), dtype=np.bool_)
    for start, end in chat.spans:
        supervised |= (starts >= start) & (starts < end)
        for joint in np.flatnonzero((starts < start) & (ends > start)):
            # A model that is given the prompt cannot write a token that began there. That it may
            # be a space before the first word, though, is how words are cut.
            if chat.text[start : ends[joint]].strip():
                if chat.text[starts[joint] : start].strip():
                    raise DataUnusable(
                        f"{chat.where}: the tokenizer joins the end of the prompt and the "
                        f"beginning of {chat.text[start:end][:40]!r} in one token"
                    )
                supervised[joint] = True
    # The first token is never predicted, so a loss on it alone is no loss.
    if not supervised[1:].any():
        raise DataUnusable(f"{chat.where}: the chat has no assistant token to train on")
    return EncodedExample(tokens=np.array(tokens, dtype=np.int32), supervised=supervised)


def encode_rows(
    tokenizer: transformers.PreTrainedTokenizerFast, rows: Sequence[ShardRow]
) -> list[EncodedExample]:
    """Encode a few rows; see Encoder."""
    return Encoder(tokenizer).encode(rows)
