"""Tokenizers: one fitted on words, or any Hugging Face one. Knows no model and no loss."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from pipelines.training.errors import StartUnusable
from pipelines.training.shards import DocumentRow, read_rows
from pipelines.training.spec import FromCheckpoint, FromConfiguration, WordLevelTokenizer

# Only a bound for callers that ask; the model's own context is checked against every example.
_UNBOUNDED = 1 << 20


def open_tokenizer(
    start: FromConfiguration | FromCheckpoint,
) -> transformers.PreTrainedTokenizerFast:
    """Fit the tokenizer of a configuration or load the one of a checkpoint.

    Raises:
        StartUnusable: the folder holds no fast tokenizer, or it has no end token.
    """
    if isinstance(start, FromConfiguration):
        return fit_word_level(start.tokenizer)
    return _load(start.path, start.chat_template)


def fit_word_level(spec: WordLevelTokenizer) -> transformers.PreTrainedTokenizerFast:
    """Give every word of the shards a token: special words first, then in sorted order."""
    special = (spec.pad, spec.unknown, spec.end)
    if len({*special, *spec.markers}) < len(special) + len(spec.markers):
        raise StartUnusable("start.tokenizer: pad, unknown, end and markers must all differ")
    first = (*special, *spec.markers)
    # Chats are rendered before they are cut into words: the template has words of its own.
    renderer = _assemble(spec, first)
    words = sorted(set(_words(spec.fit_on, renderer)) - set(first))
    return _assemble(spec, (*first, *words))


def _assemble(
    spec: WordLevelTokenizer, words: Sequence[str]
) -> transformers.PreTrainedTokenizerFast:
    vocabulary = {word: token for token, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=spec.unknown))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=spec.pad,
        unk_token=spec.unknown,
        eos_token=spec.end,
        chat_template=spec.chat_template,
        # "a ." must not become "a." when tokens turn into text again.
        clean_up_tokenization_spaces=False,
        model_max_length=_UNBOUNDED,
    )


def _words(
    directories: Iterable[Path], renderer: transformers.PreTrainedTokenizerFast
) -> Iterator[str]:
    for directory in directories:
        for row in read_rows(directory):
            if isinstance(row, DocumentRow):
                yield from row.text.split()
                continue
            messages: list[Any] = list(row.messages)
            text = renderer.apply_chat_template(
                messages, tools=[*row.tools] or None, tokenize=False
            )
            yield from str(text).split()


def _load(folder: Path, chat_template: str | None) -> transformers.PreTrainedTokenizerFast:
    if not folder.is_dir():
        raise StartUnusable(f"start.path: there is no directory {folder}")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise StartUnusable(f"start.path: no tokenizer can be loaded: {error}") from error
    if not isinstance(tokenizer, transformers.PreTrainedTokenizerFast):
        raise StartUnusable(f"start.path: {folder} has no fast tokenizer (tokenizer.json)")
    if tokenizer.eos_token_id is None:
        raise StartUnusable(f"start.path: the tokenizer of {folder} has no end token")
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    return tokenizer
