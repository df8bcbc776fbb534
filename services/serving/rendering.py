"""Between conversations and token ids: chat template, tokenizer, and text as tokens arrive."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The server listens before transformers, seconds of work, is imported.
    from transformers import PreTrainedTokenizerBase

_UNFINISHED_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class ChatTemplateRefused(ValueError):
    """The checkpoint's chat template does not accept the conversation."""


class ChatRenderer:
    """One checkpoint's way to write a conversation as tokens."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", end_ids: frozenset[int]) -> None:
        """Use the tokenizer's own chat template; replies end with one of `end_ids`."""
        self._tokenizer = tokenizer
        self._end_ids = end_ids

    def prompt_ids(
        self, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        """Write the conversation up to where the assistant speaks.

        Raises:
            ChatTemplateRefused: the template raises, for example for a role it does not know.
        """
        try:
            text = self._tokenizer.apply_chat_template(
                [dict(message) for message in messages],  # type: ignore[arg-type]
                tools=[dict(tool) for tool in tools] or None,
                add_generation_prompt=True,
                tokenize=False,
            )
        except Exception as error:  # a template is a program of the checkpoint
            raise ChatTemplateRefused(f"the chat template refuses it: {error}") from error
        ids: list[int] = self._tokenizer.encode(str(text), add_special_tokens=False)
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """Write tokens as text, without the token that ends a reply.

        Other special tokens stay: a model may mark its calls with them.
        """
        kept = [token for token in ids if token not in self._end_ids]
        text = self._tokenizer.decode(
            kept, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)


class TextStream:
    """Turns tokens into text piece by piece; the pieces joined are the text of all tokens."""

    def __init__(self, renderer: ChatRenderer) -> None:
        """Start with no text."""
        self._renderer = renderer
        self._ids: list[int] = []
        self._start = 0
        self._end = 0

    def add(self, new_ids: Sequence[int], *, is_last: bool) -> str:
        """Return the text that these tokens add; a character in the making is held back.

        Only the tokens since the piece before last are decoded again: how a token is written
        depends on its neighbour, not on the whole reply.
        """
        self._ids += new_ids
        before = self._renderer.text(self._ids[self._start : self._end])
        now = self._renderer.text(self._ids[self._start :])
        if not is_last and now.endswith(_UNFINISHED_CHARACTER):
            return ""
        self._start, self._end = self._end, len(self._ids)
        return now[len(before) :]
